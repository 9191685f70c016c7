"""Which runs, in which order, where: studies from YAML, plans with their costs, launchers, progress, and what is done
with finished runs. Nothing here imports torch or fits a law; `analysis` reads only the tables written here.
"""
