"""From encoder frames to LLM inputs: stack neighbouring frames, then a two-layer perceptron."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Projector(nn.Module):
    """Frame stacking and a perceptron: (B, S, E) to (B, ceil(S / stack), D).

    The last stack is filled up with zeros, so that no frame is dropped. Weights are initialised as torch does, from
    `seed` alone.
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
        speech_tokens: Tensor = self.fc2(functional.gelu(self.fc1(stacked)))
        return speech_tokens

    def lengths(self, positions_B: Tensor) -> Tensor:
        """The number of speech tokens made of each utterance's number of encoder positions."""
        return (positions_B + self.stack - 1) // self.stack
