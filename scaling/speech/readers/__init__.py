"""The layouts of corpora, one reader in each file. A reader yields rows and bad rows as they stand in the files. It
never decides which rows are usable: `scaling.speech.corpus_index` does.
"""
