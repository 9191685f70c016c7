"""Where workers run: on this machine, under Slurm, on Ray. Launchers start, watch and replace workers. They never tell
a worker what to do next: each worker reads that from the ledger.
"""
