"""Synthetic corpora: recipes of grammars, voices and telephone lines, and the files made from them, which have the same
bytes on every machine with the same espeak-ng. Nothing here is real speech, and reports say so.
"""
