"""Laws fitted to arrays: minimisation, noise, intervals, the choice of a law, backtests. Nothing here knows studies,
strategies or files, so it can be used as a library of its own.
"""
