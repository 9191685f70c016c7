"""Fitted laws of a study's strategies and pairs of models, and what one curve says: predictions, their coverage, and
whether forecasts came true. Nothing here compares curves.
"""
