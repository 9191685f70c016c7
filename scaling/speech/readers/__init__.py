"""The layouts of corpora, one reader a file. A reader yields rows and bad rows as the files have them; which rows are
usable is decided elsewhere.
"""
