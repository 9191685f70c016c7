"""Parakeet: log-mel frames, strided convolutions, a Fast Conformer (Rekesh et al. 2023) and a CTC head.

The convolutions halve frames and bins of the spectrogram at every stride. Attention knows positions by a learned
projection of sinusoids, one for each distance (Dai et al. 2019): 2S - 1 distances for S positions.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile, published
from scaling.base_models.encoders import ctc
from scaling.base_models.encoders.conformer import ConformerLayers
from scaling.base_models.encoders.log_mel import HOP_LENGTH, LogMelFrames, hop_length
from scaling.base_models.encoders.subsampling import Subsampling
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, LoraSpec, Part

SIZES = {
    "mel_bins": ("num_mel_bins", 80),
    "channels": ("subsampling_conv_channels", 256),
    "subsampling_kernel": ("subsampling_conv_kernel_size", 3),
    "width": ("hidden_size", 1024),
    "layers": ("num_hidden_layers", 24),
    "heads": ("num_attention_heads", 8),
    "ffn": ("intermediate_size", 4096),
    "kernel": ("conv_kernel_size", 9),
}
"""Settings of the encoder's section with transformers' defaults, which published models have too."""

VOCABULARY = 1025
"""The tokens of published models, with the blank."""

asr_codec = ctc.asr_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class ParakeetDims(LogMelFrames, ctc.CtcDims):
    """A Fast Conformer with a CTC head. Widths in features, `hop_length` in samples, kernels in positions.

    The spectrogram passes `strides` convolutions of stride 2 with `channels` features and square kernels.
    """

    linears: ClassVar[tuple[str, ...]] = (
        "q_proj", "k_proj", "v_proj", "relative_k_proj", "o_proj", "linear1", "linear2",
    )  # fmt: skip

    mel_bins: int
    hop_length: int
    strides: int
    channels: int
    subsampling_kernel: int
    kernel: int
    vocabulary: int
    attention_bias: bool
    convolution_bias: bool

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder, without the running statistics of its batch norms."""
        subsampling = self._subsampling
        front_end = subsampling.params + (subsampling.width + 1) * self.width
        layer = self._conformer.params(bias=self.attention_bias, convolution_bias=self.convolution_bias)
        distances = self.width**2 + 2 * self.width
        norms = 12 * self.width
        return front_end + self.layers * (layer + distances + norms)

    @property
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""
        return SAMPLE_RATE / (self.hop_length << self.strides)

    def encoder_work(self, samples: IntArray) -> dict[Work, IntArray]:
        """Units of work for utterances of so many samples."""
        subsampling, frames = self._subsampling, self.input_frames(samples)
        length = subsampling.positions(frames)
        distances = np.maximum(2 * length - 1, 0)
        return {
            **subsampling.work(frames),
            Work.ENCODER_FRAMES: length,
            Work.ENCODER_PAIRS: length**2,
            Work.ENCODER_DISTANCES: distances,
            Work.ENCODER_DISTANCE_PAIRS: length * distances,
        }

    def encode(self, tape: Tape, lora: LoraSpec) -> Flow:
        """Record the encoder: from mel frames to `width` features in each position."""
        weights = Weights(Part.ENCODER, Part.ENCODER_LORA, lora)
        sinusoids = Flow(Work.ENCODER_DISTANCES, self.width, False)
        cells = self._subsampling.record(tape, weights)
        flat = replace(cells, work=Work.ENCODER_FRAMES, width=self._subsampling.width)
        frames = tape.linear(weights, "linear", flat, self.width)
        return self._conformer.record(
            tape, weights, frames, Work.ENCODER_DISTANCE_PAIRS,
            lambda: tape.linear(weights, "relative_k_proj", sinusoids, self.width),
        )  # fmt: skip

    @property
    def _subsampling(self) -> Subsampling:
        return Subsampling(self.mel_bins, self.strides, self.channels, self.subsampling_kernel, separable=True)

    @property
    def _conformer(self) -> ConformerLayers:
        names = (*self.linears[:3], "o_proj"), self.linears[5:]
        return ConformerLayers(self.layers, self.width, self.ffn, self.kernel, *names)


def read_dims(config: ConfigFile) -> ParakeetDims:
    """Dimensions by the files of a Parakeet with a CTC head. Raises InputError on strides and kernels not known."""
    encoder = config.section("encoder_config")
    encoder.expect("subsampling_conv_stride", 2, "other strides are not priced")
    factor = encoder.integer("subsampling_factor", 8)
    if factor not in (2, 4, 8):
        raise InputError(f"{config.path}: encoder_config.subsampling_factor is {factor}; expected 2, 4 or 8")
    dims = ParakeetDims(
        **config.origin,
        **encoder.sizes(SIZES),
        hop_length=hop_length(config.path.parent),
        strides=factor.bit_length() - 1,
        vocabulary=config.integer("vocab_size", VOCABULARY),
        attention_bias=encoder.flag("attention_bias", True),
        convolution_bias=encoder.flag("convolution_bias", True),
    )
    if dims.kernel % 2 == 0 or dims.mel_bins % factor:
        raise InputError(
            f"{config.path}: encoder_config has conv_kernel_size {dims.kernel} and num_mel_bins {dims.mel_bins};"
            f" expected an odd kernel and a multiple of {factor} bins"
        )
    return dims


def _row(name: str, layers: int) -> ParakeetDims:
    sizes = published(f"nvidia/{name}", SIZES) | {"layers": layers, "vocabulary": VOCABULARY}
    return ParakeetDims(**sizes, hop_length=HOP_LENGTH, strides=3, attention_bias=True, convolution_bias=True)


ROWS = (_row("parakeet-ctc-0.6b", 24), _row("parakeet-ctc-1.1b", 42))
