"""Layers compiled for training: torch.compile for each kind of layer, at any batch and length, shared by all models.

The same products in fewer passes over memory, equal to rounding. Only learning is compiled: what a frozen encoder hears
keeps its bits, and decoding, a token at a time, its shapes. Torch keeps kernels on disk, where the next process finds
them.
"""

from functools import cache
from types import MethodType
from typing import Any

import torch
import torch._dynamo.config
import torch._inductor.config

from scaling.asr.execution.layer_modes import Forward, wrap_layers
from scaling.asr.model.recognizer import Recognizer

VARIANTS = 64
"""Kinds of one layer that are compiled (widths, adapters, what needs a gradient); more run as they were written.

Torch's own 8 are too few for three sizes in three stages, whose first layers differ from the others."""


def compile_layers(model: Recognizer) -> Recognizer:
    """Let every layer of `model` that a gradient passes run compiled; to be called before `checkpoint_layers`.

    Compiling takes as many threads as training, so that a worker keeps to its own.
    """
    torch._dynamo.config.recompile_limit = VARIANTS
    torch._inductor.config.compile_threads = torch.get_num_threads()
    wrap_layers(model, _compiled)
    model.compiled = True
    return model


def _compiled(forward: Forward, *inputs: Any, **options: Any) -> Any:
    assert isinstance(forward, MethodType)
    return _kind(forward.__func__)(forward.__self__, *inputs, **options)


@cache
def _kind(function: Forward) -> Forward:
    """One layer class's forward, compiled once for all its layers."""
    return torch.compile(function, dynamic=True)
