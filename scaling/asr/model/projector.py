"""From encoder frames to LLM inputs: stack neighbouring frames, then a two-layer perceptron."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Projector(nn.Module):
    """Frame stacking and an MLP: (B, S, E) to (B, ceil(S / stack), D).

    The tail is padded with zeros, so no frame is dropped. Initialised by torch's defaults from `seed` alone.
    """

    def __init__(self, *, encoder_width: int, stack: int, hidden: int, llm_width: int, seed: int) -> None:
        super().__init__()
        self.stack = stack
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.fc1 = nn.Linear(encoder_width * stack, hidden)
            self.fc2 = nn.Linear(hidden, llm_width)

    def forward(self, frames_BSE: Tensor) -> Tensor:
        """LLM inputs (B, ceil(S / stack), D)."""
        batch, length, width = frames_BSE.shape
        padded = functional.pad(frames_BSE, (0, 0, 0, -length % self.stack))
        stacked = padded.reshape(batch, -1, width * self.stack)
        out: Tensor = self.fc2(functional.gelu(self.fc1(stacked)))
        return out

    def lengths(self, positions_B: Tensor) -> Tensor:
        """Speech tokens of so many encoder positions."""
        return (positions_B + self.stack - 1) // self.stack
