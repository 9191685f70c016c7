"""A study file becomes a `Study`: the file is found, overridden by `--set`, validated, and resolved to models,
strategies and speech. Errors name file, line and field. Nothing here plans or starts a run.
"""
