"""Adapters merged into the weights they adapt while a model decodes: one product a layer instead of three.

The adapters and the weights themselves are not changed, so that training goes on with the same bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from scaling.asr.execution.sharding import is_sharded
from scaling.asr.model.load_base import KEEP_IN_MEMORY_PARAMETERS


@contextmanager
def merged_lora(model: PreTrainedModel) -> Iterator[None]:
    """In this context, layers with adapters are one product each, equal to rounding in fp32.

    Nothing is merged where a copy of the weights may not fit (`KEEP_IN_MEMORY_PARAMETERS`), where the weights are
    sharded, and in bf16, where rounding the sum would lose most of what an adapter has learnt.
    """
    weights = list(model.parameters())
    is_large = sum(weight.numel() for weight in weights) > KEEP_IN_MEMORY_PARAMETERS
    unmerged = is_large or any(map(is_sharded, weights)) or torch.is_autocast_enabled(model.device.type)
    layers = [] if unmerged else [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        layer.forward = _merged_linear(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _merged_linear(layer: LoraLayer) -> partial[torch.Tensor]:
    (adapter,) = layer.active_adapters
    base: nn.Linear = layer.get_base_layer()
    return partial(functional.linear, weight=base.weight + layer.get_delta_weight(adapter), bias=base.bias)
