"""Weights and optimizer state as tensors named by part: copied from a model, and put back into it."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from scaling.asr.execution.optimizer import FlatAdamW
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.execution.sharding import gather, shard_like
from scaling.asr.model.recognizer import Recognizer
from scaling.errors import InputError
from scaling.spec import Part

Weights = dict[str, Tensor]
"""Tensors by `part/name`."""

ADAPTERS = {Part.ENCODER_LORA: Part.ENCODER, Part.LLM_LORA: Part.LLM}
"""The parts that are adapters, and the part whose weights each adapts."""


def parts_of(weights: Weights) -> set[Part]:
    """The parts that some of these weights belong to."""
    return {_part_of(name) for name in weights}


def load_part(model: Recognizer, part: Part, weights: Weights) -> None:
    """Copy the weights of `part` into the model. Raises InputError where a tensor has another shape."""
    for name, parameter in model.part_parameters(part).items():
        tensor = weights.get(f"{part.value}/{name}")
        if tensor is None:
            continue
        if tensor.shape != parameter.shape:
            raise InputError(
                f"checkpoint: {part.value}/{name} has shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(shard_like(tensor, parameter))


def weights_carried_on(earlier: Weights, trained: frozenset[Part]) -> Weights:
    """The weights of earlier stages that belong into the checkpoint of a stage which trained these parts.

    An adapter is left out where this stage trained the adapted weights without it: it is then merged into these
    weights.
    """
    merged = {adapter for adapter, base in ADAPTERS.items() if base in trained and adapter not in trained}
    return {name: tensor for name, tensor in earlier.items() if _part_of(name) not in merged}


def tensors_to_write(tensors: Iterable[tuple[str, Tensor]], ranks: Ranks) -> Weights:
    """Copies of the tensors that this rank writes, unsharded. All ranks must call this; they take turns."""
    copies: Weights = {}
    for number, (name, tensor) in enumerate(tensors):
        full = gather(tensor.detach())
        if number % ranks.writers == ranks.rank:
            copies[name] = full.to("cpu", copy=True)
    return copies


def optimizer_tensors(optimizer: FlatAdamW, names: dict[nn.Parameter, str], ranks: Ranks = SINGLE_PROCESS) -> Weights:
    """AdamW's moments that this rank writes, by `part/name/moment`, and on the first rank torch's random state."""
    moments = (
        (f"{name}/{moment}", value)
        for parameter, name in names.items()
        for moment, value in optimizer.moments(parameter).items()
    )
    return tensors_to_write(moments, ranks) | ({"random": torch.get_rng_state()} if ranks.first else {})


def restore_optimizer(optimizer: FlatAdamW, names: dict[nn.Parameter, str], tensors: Weights) -> None:
    """The inverse of `optimizer_tensors`: moments and torch's random state."""
    moments: dict[str, Weights] = {}
    for path, value in tensors.items():
        name, _, moment = path.rpartition("/")
        moments.setdefault(name, {})[moment] = value
    for parameter, name in names.items():
        optimizer.restore(parameter, moments.get(name, {}))
    torch.set_rng_state(tensors["random"])


def _part_of(name: str) -> Part:
    return Part(name.partition("/")[0])
