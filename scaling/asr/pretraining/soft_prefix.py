"""Soft prefixes: what teaches a miniature language model to read embeddings that are no token's.

A projector hands an LLM frames that lie between token embeddings, stretched in time and noisy. A mini LLM pretrained on
text alone ignores them (measured: CER 0.75 after 200 projector steps, against 0.09 for one pretrained on these
prefixes). So most of its pretraining is to write down a string that it is shown as such frames.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

STRETCHES = (
    ((1, 2), 1),
    ((1, 2), 2),
    ((1, 4), 1),
    ((1, 4), 2),
    ((1, 4), 3),
    ((2, 6), 2),
    ((2, 6), 3),
    ((2, 6), 4),
    ((3, 8), 2),
    ((3, 8), 3),
    ((3, 8), 4),
)
"""Fine frames a token (least and most) and how many neighbours are averaged, drawn a batch: 0.75 to 2.75 frames a token
are left, which is what speech of 80 ms a frame gives. Fewer lose the order of the tokens for good."""

BLANK_CHANCES = (0.0, 0.3, 1.0)  # of a blank between two tokens, drawn a batch; certain between equal tokens
BLANKS_AT_THE_ENDS = 3  # at most
NOISE = 0.3  # at most, of the embeddings' standard deviation


def soft_prefixes(
    texts: Sequence[Sequence[int]], embedding: nn.Embedding, blank: int, rng: np.random.Generator
) -> list[torch.Tensor]:
    """A soft prefix (frames, width) for each text of token ids.

    Each token is written for some fine frames, with blanks between and at both ends; the frames are embedded, k
    neighbours averaged, and Gaussian noise added. Gradients reach the embedding.
    """
    durations, neighbours = STRETCHES[rng.integers(len(STRETCHES))]
    blank_chance = float(rng.choice(BLANK_CHANCES))
    fine = [_fine_frames(text, durations, blank_chance, blank, rng) for text in texts]
    counts = [-(-len(frames) // neighbours) for frames in fine]
    padded = np.full((len(texts), max(counts) * neighbours), blank)
    for row, frames in zip(padded, fine, strict=True):
        row[: len(frames)] = frames
    soft_BTD = embedding(torch.from_numpy(padded)).unflatten(1, (-1, neighbours)).mean(2)
    spread = rng.uniform(0, NOISE) * embedding.weight.detach().std()
    noise_BTD = torch.from_numpy(rng.standard_normal(soft_BTD.shape, dtype=np.float32))
    return [frames[:count] for frames, count in zip(soft_BTD + spread * noise_BTD, counts, strict=True)]


def _fine_frames(
    text: Sequence[int], durations: tuple[int, int], blank_chance: float, blank: int, rng: np.random.Generator
) -> list[int]:
    frames = [blank] * int(rng.integers(BLANKS_AT_THE_ENDS + 1))
    for place, token in enumerate(text):
        if place and (token == text[place - 1] or rng.random() < blank_chance):
            frames.append(blank)
        frames += [token] * int(rng.integers(*durations, endpoint=True))
    return frames + [blank] * int(rng.integers(BLANKS_AT_THE_ENDS + 1)) or [blank]
