"""Synthetic corpora: grammars, voices and lines as recipes, and the files that come of them, the same bytes on every
machine with the same voice. Nothing here is real speech, and reports say so.
"""
