"""The loss of text that is written token by token: logits where a target is, and nowhere else."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def target_loss(
    hidden_BTD: Tensor, starts: Sequence[int], targets: Sequence[Tensor], logits: Callable[[Tensor], Tensor]
) -> tuple[Tensor, int]:
    """Summed cross-entropy of `targets`, each predicted from the positions that begin at its start; their number."""
    length = hidden_BTD.shape[1]
    positions = torch.cat(
        [
            torch.arange(start, start + len(target)) + row * length
            for row, (start, target) in enumerate(zip(starts, targets, strict=True))
        ]
    )
    logits_NV = logits(hidden_BTD.flatten(0, 1)[positions.to(hidden_BTD.device)])
    wanted_N = torch.cat(list(targets))
    return functional.cross_entropy(logits_NV.float(), wanted_N, reduction="sum"), len(wanted_N)
