"""A spectrogram as an image of frames and bins, of which convolutions of stride 2 halve both, again and again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from scaling.arrays import IntArray
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work

Positions = TypeVar("Positions", int, IntArray)

STRIDED = (Work.STRIDED_2, Work.STRIDED_4, Work.STRIDED_8)
"""The cells of the spectrogram after each stride of 2."""


@dataclass(frozen=True, slots=True)
class Subsampling:
    """`strides` convolutions, at most three, with square kernels and `channels` features, on a spectrogram of
    `mel_bins`.

    All but the first are `separable` into a depthwise convolution and a pointwise one, or mix all features at once.
    """

    mel_bins: int
    strides: int
    channels: int
    kernel: int
    separable: bool

    @property
    def width(self) -> int:
        """Features of a position: those of all bins that are left."""
        return self.channels * list(self._bins())[-1]

    @property
    def params(self) -> int:
        """Parameters with biases."""
        first, mixing = (self.kernel**2 + 1) * self.channels, (self.kernel**2 * self.channels + 1) * self.channels
        later = first + (self.channels + 1) * self.channels if self.separable else mixing
        return first + (self.strides - 1) * later

    def positions(self, frames: Positions) -> Positions:
        """Positions that are left of so many frames."""
        for _ in range(self.strides):
            frames = self._strided(frames)
        return frames

    def work(self, frames: Positions) -> dict[Work, Positions]:
        """Cells after each convolution, for spectrograms of so many frames."""
        cells = dict[Work, Positions]()
        for unit, bins in zip(STRIDED, self._bins(), strict=False):
            frames = self._strided(frames)
            cells[unit] = frames * bins
        return cells

    def record(self, tape: Tape, weights: Weights) -> Flow:
        """Record the convolutions: the features of a cell after the last one."""
        patch = self.kernel**2
        x = tape.linear(weights, "conv", Flow(STRIDED[0], patch, False), self.channels)
        for unit in STRIDED[1 : self.strides]:
            window = replace(x, work=unit, width=patch * self.channels)
            if self.separable:
                x = tape.linear(weights, "depthwise", window, self.channels, groups=self.channels)
                x = tape.linear(weights, "pointwise", x, self.channels)
            else:
                x = tape.linear(weights, "conv", window, self.channels)
        return x

    def _bins(self) -> Iterator[int]:
        bins = self.mel_bins
        for _ in range(self.strides):
            bins = self._strided(bins)
            yield bins

    def _strided(self, length: Positions) -> Positions:
        """Positions after a convolution of stride 2, which pads half a kernel at either end."""
        padding = (self.kernel - 1) // 2
        return (length + 2 * padding - self.kernel) // 2 + 1
