"""A study file: found, overridden, validated, and resolved to models, strategies and speech, with errors that name
file, line and field. Nothing here plans or starts a run.
"""
