"""A first study, written from what a user has: a corpus, models, and something to spend. Nothing here runs a study."""
