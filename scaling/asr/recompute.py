"""Gradient checkpointing: a layer keeps what goes into it, and is run again when its backward pass asks for the rest.

The layers are those that transformers marks as such, of every encoder, ASR decoder and LLM. Its own switch does nothing
in eval mode, in which a frozen LLM behind a trainable projector stays; here each layer's `forward` is replaced, and
nothing else: parameters keep their names, and FSDP2's hooks lie outside, so that shares are gathered before a layer is
run again. Autocast and the state of random numbers are those of the first time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakMethod

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from scaling.asr.model import Recognizer


def recompute_layers(model: Recognizer) -> Recognizer:
    """Let every layer of `model` that a gradient passes keep its inputs alone."""
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            # weak, or the layer would hold itself: a model must go with its last user, and make room for the next
            module.forward = partial(_run, WeakMethod(module.forward))
    model.recomputes = True
    return model


def _run(weak_forward: WeakMethod[Callable[..., Any]], *inputs: Any, **options: Any) -> Any:
    forward = weak_forward()
    assert forward is not None
    if not torch.is_grad_enabled():
        return forward(*inputs, **options)
    return checkpoint(forward, *inputs, use_reentrant=False, **options)
