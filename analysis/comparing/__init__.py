"""Two strategies held against each other: error at equal FLOPs, FLOPs at equal error, equal hours, and whether both
were tuned alike. Nothing here recommends.
"""
