"""How a model runs on devices: precision, memory, several processes in step, sharded weights, recomputed or compiled
layers, the optimiser. Nothing here changes what is learnt beyond rounding.
"""
