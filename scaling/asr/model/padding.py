"""Padding: which positions of a batch belong to its utterances, and padded positions cut off.

Shapes: B utterances, S positions, D width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor


def real_positions(lengths_B: Tensor, length: int) -> Tensor:
    """Boolean (B, length): True where a position belongs to the utterance."""
    return torch.arange(length, device=lengths_B.device) < lengths_B[:, None]


def key_mask(lengths_B: Tensor, length: int, dtype: torch.dtype) -> Tensor | None:
    """Additive attention mask (B, 1, 1, S) that hides padded keys; None where nothing is padded."""
    real_BS = real_positions(lengths_B, length)
    if bool(real_BS.all()):
        return None
    mask = torch.zeros(real_BS.shape, dtype=dtype, device=real_BS.device)
    return mask.masked_fill(~real_BS, torch.finfo(dtype).min)[:, None, None]


def without_padding(hidden_BSD: Tensor, lengths_B: Tensor) -> Iterator[Tensor]:
    """The positions (S, D) of each utterance, as views."""
    return (hidden_SD[:length] for hidden_SD, length in zip(hidden_BSD, lengths_B.tolist(), strict=True))
