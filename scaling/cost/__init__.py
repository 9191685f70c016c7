"""What training, decoding and memory cost, from dimensions and lengths alone: FLOPs in three currencies, bytes, and
the rates of hardware. Nothing here runs a model or imports torch, so a plan prices exactly what a trainer will do.
"""
