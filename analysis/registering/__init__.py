"""Forecasts that are written down before their runs are trained, and what came of them. Nothing here changes what was
written down.
"""
