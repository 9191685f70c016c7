"""The loss of a decoder that is trained to predict text: logits are computed at the targets' positions alone."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def target_loss(
    hidden_BTD: Tensor, starts: Sequence[int], targets: Sequence[Tensor], logits: Callable[[Tensor], Tensor]
) -> tuple[Tensor, int]:
    """Cross-entropy summed over all target tokens, and their number, from what `target_logits` takes."""
    logits_NV, targets_N = target_logits(hidden_BTD, starts, targets, logits)
    return functional.cross_entropy(logits_NV, targets_N, reduction="sum"), len(targets_N)


def target_logits(
    hidden_BTD: Tensor, starts: Sequence[int], targets: Sequence[Tensor], logits: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Logits (N, V) in fp32 and token ids (N,) of all target tokens, utterance by utterance.

    The first token of each utterance's targets is predicted from its position in `starts`, the others from those after.
    """
    length = hidden_BTD.shape[1]
    positions = torch.cat(
        [
            torch.arange(start, start + len(target)) + row * length
            for row, (start, target) in enumerate(zip(starts, targets, strict=True))
        ]
    )
    logits_NV = logits(hidden_BTD.flatten(0, 1)[positions.to(hidden_BTD.device)])
    return logits_NV.float(), torch.cat(list(targets))
