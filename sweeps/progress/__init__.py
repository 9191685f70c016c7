"""How a study stands, from its ledger alone: states, time left, tables of finished runs, and the checkpoints that are
still needed. Nothing here starts or stops a worker.
"""
