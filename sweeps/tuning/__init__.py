"""Fair tuning: the same search over rates and batch sizes for every strategy, judged on dev. Nothing here looks at a
test set.
"""
