"""Fair tuning: the same search over rates and batch sizes for every strategy, judged by the error on dev. Nothing here
looks at a test set.
"""
