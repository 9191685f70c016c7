"""How a study stands, from its ledger alone: states, remaining time, tables of finished runs, and the checkpoints that
are still needed. Nothing here starts or stops a worker.
"""
