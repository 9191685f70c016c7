"""Greedy transcripts of dev and test sets, their scores, and how often the dev set is evaluated during training.
Nothing in this package trains.
"""
