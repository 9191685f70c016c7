"""Gradient checkpointing: a layer keeps what goes into it, and is run again when its backward pass asks for the rest.

transformers' own switch does nothing in eval mode, in which a frozen LLM behind a trainable projector stays. Autocast
and the state of random numbers are those of the first time.
"""

from typing import Any

from torch.utils.checkpoint import checkpoint

from scaling.asr.execution.layer_modes import Forward, wrap_layers
from scaling.asr.model.recognizer import Recognizer


def checkpoint_layers(model: Recognizer) -> Recognizer:
    """Let every layer of `model` that a gradient passes keep its inputs alone."""
    wrap_layers(model, _twice)
    model.recomputes = True
    return model


def _twice(forward: Forward, *inputs: Any, **options: Any) -> Any:
    return checkpoint(forward, *inputs, use_reentrant=False, **options)
