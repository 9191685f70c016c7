"""Stages on disk, and every file format that two programs share: the plan, the record of a node, the row of a run.
Each format is a type with its documentation. Nothing here trains, plans or judges; a trainer of your own needs no
other package.
"""
