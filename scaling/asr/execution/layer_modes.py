"""Two other ways to run a model's layers while they learn: under gradient checkpointing, and compiled.

The layers are those that transformers marks for gradient checkpointing, of every encoder, ASR decoder and LLM. Each
layer's `forward` is replaced, and nothing else: parameters keep their names, and FSDP2's hooks lie outside, so that
shards are gathered before a layer is run. Without a gradient, as in decoding and in a frozen encoder, a layer runs as
it was written: cached outputs of a frozen encoder keep their bits, and decoding compiles no kernels of its own.
"""

from collections.abc import Callable
from functools import cache, partial
from inspect import ismethod
from types import MethodType
from typing import Any
from weakref import WeakMethod

import torch
import torch._dynamo.config
import torch._inductor.config
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from scaling.asr.model.recognizer import Recognizer

Forward = Callable[..., Any]

VARIANTS = 64
"""Variants of one layer class that are compiled (widths, adapters, which inputs need a gradient); further ones run
uncompiled. Torch's own limit of 8 is too low for three sizes in three stages, whose first layers differ from the rest.
"""


def checkpoint_layers(model: Recognizer) -> Recognizer:
    """Let each layer of `model` that a gradient passes store its inputs alone, and run again in its backward pass.

    transformers' own switch has no effect in eval mode, in which a frozen LLM behind a trainable projector stays.
    Autocast and random numbers are the same in the second run.
    """
    _wrap_layers(model, partial(checkpoint, use_reentrant=False))
    model.gradient_checkpointing = True
    return model


def compile_layers(model: Recognizer) -> Recognizer:
    """Let each layer of `model` that a gradient passes run compiled; to be called before `checkpoint_layers`.

    torch.compile makes one kernel for each variant of a layer class, for batches of any shape, shared by all models:
    the same products in fewer passes over memory, equal to rounding. Torch stores kernels on disk, where the next
    process finds them. Compiling takes as many threads as training, so that a worker stays within its own.
    """
    torch._dynamo.config.recompile_limit = VARIANTS
    torch._inductor.config.compile_threads = torch.get_num_threads()
    _wrap_layers(model, _run_compiled)
    model.compiled = True
    return model


def _wrap_layers(model: nn.Module, run: Callable[..., Any]) -> None:
    """Replace each layer's `forward` by `run(forward, ...)`; the last wrapper is the outermost."""
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.forward = partial(_run_with_gradient, run, _weak(module.forward))


def _weak(forward: Forward) -> Callable[[], Forward | None]:
    """A weak reference: else a layer would refer to itself, and a model would stay in memory after its last use."""
    return WeakMethod(forward) if ismethod(forward) else lambda: forward


def _run_with_gradient(
    run: Callable[..., Any], weak: Callable[[], Forward | None], *inputs: Any, **options: Any
) -> Any:
    forward = weak()
    assert forward is not None
    return run(forward, *inputs, **options) if torch.is_grad_enabled() else forward(*inputs, **options)


def _run_compiled(forward: Forward, *inputs: Any, **options: Any) -> Any:
    assert isinstance(forward, MethodType)
    return _compiled(forward.__func__)(forward.__self__, *inputs, **options)


@cache
def _compiled(function: Forward) -> Forward:
    """The forward of one layer class, compiled once for all its layers."""
    return torch.compile(function, dynamic=True)
