"""What all encoders have in common, and what some of them have of their own: an objective that a stage can train by."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

from scaling.arrays import IntArray
from scaling.base_models.matmul_tape import Flow, Tape

UNLIMITED = float("inf")


class OwnObjectiveDims(Protocol):
    """The dimensions of the decoder or head by which an encoder writes text without an LLM."""

    @property
    def params(self) -> int:
        """Parameters of the decoder or head."""

    @property
    def vocabulary(self) -> int:
        """Tokens that it chooses among."""

    def max_tokens(self, frames: IntArray) -> IntArray:
        """The most prompt and text tokens for so many encoder positions."""

    def output_positions(self, frames: IntArray, tokens: IntArray) -> IntArray:
        """Positions at which it has an output, for so many encoder positions and tokens."""

    def decode(self, tape: Tape, speech: Flow) -> None:
        """Record its products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """What dimensions of all encoders have; a family may keep: no objective of its own, audio of any length.

    `width` features at each of the positions of its `layers`, with so many attention `heads`, and `ffn` features inside
    of a feed-forward.
    """

    name: str = field(compare=False)
    source: str = field(compare=False)
    width: int
    layers: int
    heads: int
    ffn: int

    @property
    def objective(self) -> OwnObjectiveDims | None:
        """The encoder's own objective; None where it has none, so that it can learn through an LLM alone."""
        return None

    @property
    def asr_decoder_params(self) -> int:
        """Parameters of the decoder or head of its own objective."""
        return 0 if self.objective is None else self.objective.params

    @property
    def max_frames(self) -> float:
        """The largest number of encoder positions: infinite where positions are relative, and memory alone limits."""
        return UNLIMITED

    @property
    @abstractmethod
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""

    @property
    def max_audio_seconds(self) -> float:
        """The longest audio that the encoder has positions for; infinite, as `max_frames`."""
        return self.max_frames / self.frames_per_second
