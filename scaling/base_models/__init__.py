"""Encoders and LLMs before training, as rows of dimensions: found by name, with their tokenizers and chat templates,
and run symbolically to record matrix products. Nothing here reads weights or imports torch.
"""
