"""Another way to run a model's layers while they learn: where a gradient is asked for, and nowhere else.

The layers are those that transformers marks as such, of every encoder, ASR decoder and LLM. Each one's `forward` is
replaced, and nothing else: parameters keep their names, and FSDP2's hooks lie outside, so that shares are there when a
layer is run. Without a gradient, as in decoding and in a frozen encoder, a layer runs as it was written.
"""

from collections.abc import Callable
from functools import partial
from inspect import ismethod
from typing import Any
from weakref import WeakMethod

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

Forward = Callable[..., Any]


def wrap_layers(model: nn.Module, run: Callable[..., Any]) -> None:
    """Let `run(forward, *inputs, **options)` stand in for each layer's `forward`. The last asked for is outermost."""
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.forward = partial(_run, run, _weak(module.forward))


def _weak(forward: Forward) -> Callable[[], Forward | None]:
    """Weak, or a layer would hold itself: a model must go with its last user, and make room for the next."""
    return WeakMethod(forward) if ismethod(forward) else lambda: forward


def _run(run: Callable[..., Any], weak: Callable[[], Forward | None], *inputs: Any, **options: Any) -> Any:
    forward = weak()
    assert forward is not None
    return run(forward, *inputs, **options) if torch.is_grad_enabled() else forward(*inputs, **options)
