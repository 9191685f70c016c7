"""One invocation of `run`: enter a plan into the ledger, start workers, follow them, and write the table of results.
The simulated trainer and the trackers (Weights & Biases, TensorBoard) live here too.
"""
