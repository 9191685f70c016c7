"""How a model runs on devices: precision, memory, several processes in step, a sharded LLM, gradient checkpointing or
compiled layers, the optimizer. Nothing in this package changes what is learnt beyond rounding.
"""
