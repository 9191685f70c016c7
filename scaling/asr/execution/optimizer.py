"""AdamW over parameters that are flattened into a few tensors, so that a step takes a few operations.

To clear, add up, clip and apply gradients takes one operation a tensor. A small model has hundreds of tensors of a few
thousand numbers, and a core spends its time in starting operations (measured: 7.3 of 51 ms of a mini's step).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scaling.asr.execution.sharding import is_sharded, shard_like
from scaling.spec import Part, Stage

ALIGNMENT = 16
"""Each parameter begins at a multiple of so many numbers: 64 bytes, the width of a cache line."""


class FlatAdamW(torch.optim.AdamW):
    """AdamW with a peak rate for each part; weight decay on matrices only, as is usual for transformers.

    The parameters and their gradients become views of the flat tensors that are updated. Shards stay tensors of their
    own.
    """

    def __init__(self, stage: Stage, parts: Mapping[Part, Sequence[nn.Parameter]]) -> None:
        options = stage.optimization
        groups: list[dict[str, Any]] = []
        self._views: dict[nn.Parameter, _View] = {}
        for part, rate in stage.trains:
            for matrices, decay in ((True, options.weight_decay), (False, 0.0)):
                chosen = [p for p in parts[part] if (p.ndim > 1) == matrices]
                if chosen:
                    groups.append({"params": self._flattened(chosen), "lr": rate, "weight_decay": decay})
        super().__init__(groups, betas=(options.beta1, options.beta2), fused=True)

    @property
    def tensors(self) -> list[nn.Parameter]:
        """The tensors that are updated: every trained parameter is one of them or a view of one."""
        return [tensor for group in self.param_groups for tensor in group["params"]]

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Clear the gradients, in place where parameters have views of them."""
        for tensor in self.tensors:
            if tensor.grad is not None and not is_sharded(tensor):
                tensor.grad.zero_()
            else:
                tensor.grad = None

    def moments(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """AdamW's moments of a parameter, by name; empty before the first step."""
        view = self._views.get(parameter)
        if view is None:
            return dict(self.state[parameter])
        return {name: view.of(value) if name != "step" else value for name, value in self.state[view.tensor].items()}

    def restore(self, parameter: nn.Parameter, moments: Mapping[str, Tensor]) -> None:
        """The inverse of `moments`; the tensors may lie on another device and are unsharded."""
        view = self._views.get(parameter)
        tensor = parameter if view is None else view.tensor
        for name, value in moments.items():
            if name == "step":
                self.state[tensor][name] = value
            elif view is None:
                self.state[tensor][name] = shard_like(value, parameter)
            else:
                view.of(self.state[tensor].setdefault(name, torch.zeros_like(tensor))).copy_(value)

    def _flattened(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """The tensors that hold these parameters: one flat tensor for all that are unsharded, and each shard."""
        shards = [p for p in parameters if is_sharded(p)]
        unsharded = [p for p in parameters if not is_sharded(p)]
        if not unsharded:
            return shards
        starts, end = [], 0
        for parameter in unsharded:
            starts.append(end)
            end += -(-parameter.numel() // ALIGNMENT) * ALIGNMENT
        flat = nn.Parameter(unsharded[0].detach().new_zeros(end))
        flat.grad = torch.zeros_like(flat)
        for parameter, start in zip(unsharded, starts, strict=True):
            view = self._views[parameter] = _View(flat, start, parameter.shape)
            view.of(flat.detach()).copy_(parameter.detach())
            parameter.data, parameter.grad = view.of(flat.detach()), view.of(flat.grad)
        return [flat, *shards]


class _View:
    """The place of a parameter in a flat tensor."""

    __slots__ = ("_shape", "_start", "tensor")

    def __init__(self, tensor: nn.Parameter, start: int, shape: torch.Size) -> None:
        self.tensor, self._start, self._shape = tensor, start, shape

    def of(self, flat: Tensor) -> Tensor:
        """The parameter's part of `flat`, which is as long as the flat tensor."""
        return flat[self._start : self._start + self._shape.numel()].view(self._shape)
