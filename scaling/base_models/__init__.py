"""Encoders and LLMs before training: their dimensions, found by name, their tokenizers and chat templates, and their
matrix products, recorded by a symbolic forward pass. Nothing here reads weights or imports torch.
"""
