"""Where workers run: on this machine, under Slurm, on Ray. Launchers start, watch and replace processes; what a worker
does next is read from the ledger by the worker, never told by a launcher.
"""
