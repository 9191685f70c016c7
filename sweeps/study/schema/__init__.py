"""The fields that a study file may have, by subject: the only mappings of a study, checked here and nowhere else.

The package knows types, bounds and what each field means; it never resolves a model, a strategy or a corpus.
"""
