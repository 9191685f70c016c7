"""Parakeet: log-mel frames, strided convolutions, a Fast Conformer (Rekesh et al. 2023) and a CTC head.

The convolutions halve frames and bins of the spectrogram at every stride. Attention knows positions by a learned
projection of sinusoids, one for each distance (Dai et al. 2019): 2S - 1 distances for S positions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders import ctc
from scaling.base_models.encoders.conformer import conformer_layers
from scaling.base_models.encoders.whisper import HOP_LENGTH, hop_length
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, LoraSpec, Part

Positions = TypeVar("Positions", int, IntArray)

STRIDED = (Work.STRIDED_2, Work.STRIDED_4, Work.STRIDED_8)
"""The cells of the spectrogram after each stride of 2."""

SETTINGS = {
    "mel_bins": "num_mel_bins",
    "channels": "subsampling_conv_channels",
    "subsampling_kernel": "subsampling_conv_kernel_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
    "kernel": "conv_kernel_size",
}
"""The settings of the encoder's section that hold whole numbers."""

asr_codec = ctc.asr_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class ParakeetDims(ctc.CtcDims):
    """A Fast Conformer with a CTC head. Widths in features, `hop_length` in samples, kernels in positions.

    The spectrogram passes `strides` convolutions of stride 2 with `channels` features and square kernels.
    """

    linears: ClassVar[tuple[str, ...]] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "relative_k_proj",
        "o_proj",
        "linear1",
        "linear2",
    )

    name: str = field(compare=False)
    source: str = field(compare=False)
    mel_bins: int = 80
    hop_length: int = HOP_LENGTH
    strides: int = 3
    channels: int = 256
    subsampling_kernel: int = 3
    width: int = 1024
    layers: int = 24
    heads: int = 8
    ffn: int = 4096
    kernel: int = 9
    vocabulary: int = 1025
    attention_bias: bool = True
    convolution_bias: bool = True

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder, without the running statistics of its batch norms."""
        first = (self.subsampling_kernel**2 + 1) * self.channels
        later = first + (self.channels + 1) * self.channels
        front_end = first + (self.strides - 1) * later + (self._subsampled_width + 1) * self.width
        feed_forward = 2 * self.width * self.ffn + self.attention_bias * (self.ffn + self.width)
        attention = 5 * self.width**2 + (2 + 4 * self.attention_bias) * self.width
        convolution = 3 * self.width**2 + (self.kernel + 2 + 4 * self.convolution_bias) * self.width
        return front_end + self.layers * (2 * feed_forward + attention + convolution + 10 * self.width)

    @property
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""
        return SAMPLE_RATE / (self.hop_length << self.strides)

    @property
    def input_features(self) -> int:
        """Features of an input frame: the mel bins."""
        return self.mel_bins

    def input_frames(self, samples: IntArray) -> IntArray:
        """The mel frames of utterances of so many samples, which the encoder reads."""
        return samples // self.hop_length

    def encoder_work(self, samples: IntArray) -> dict[Work, IntArray]:
        """Units of work for utterances of so many samples."""
        length, work = self.input_frames(samples), dict[Work, IntArray]()
        for unit, bins in zip(STRIDED, self._bins(), strict=False):
            length = self._strided(length)
            work[unit] = length * bins
        distances = np.maximum(2 * length - 1, 0)
        return {
            **work,
            Work.ENCODER_FRAMES: length,
            Work.ENCODER_PAIRS: length**2,
            Work.ENCODER_DISTANCES: distances,
            Work.ENCODER_DISTANCE_PAIRS: length * distances,
        }

    def encode(self, tape: Tape, lora: LoraSpec) -> Flow:
        """Record the encoder: from mel frames to `width` features in each position."""
        weights = Weights(Part.ENCODER, Part.ENCODER_LORA, lora)

        def attend(x: Flow) -> Flow:
            query, key, value = (tape.linear(weights, name, x, self.width) for name in ("q_proj", "k_proj", "v_proj"))
            sinusoids = Flow(Work.ENCODER_DISTANCES, self.width, False)
            distances = tape.linear(weights, "relative_k_proj", sinusoids, self.width)
            bias = tape.product(Part.ENCODER, Work.ENCODER_DISTANCE_PAIRS, query, distances)
            mixed = tape.attention(Part.ENCODER, Work.ENCODER_PAIRS, query, key, value, bias=bias)
            return tape.linear(weights, "o_proj", mixed, self.width)

        frames = tape.linear(weights, "linear", self._subsample(tape, weights), self.width)
        return conformer_layers(tape, weights, frames, attend, self, ("linear1", "linear2"))

    def _subsample(self, tape: Tape, weights: Weights) -> Flow:
        """A convolution of stride 2, then pairs of a depthwise one of stride 2 and a pointwise one."""
        patch = self.subsampling_kernel**2
        x = tape.linear(weights, "conv", Flow(STRIDED[0], patch, False), self.channels)
        for unit in STRIDED[1 : self.strides]:
            window = replace(x, work=unit, width=patch * self.channels)
            x = tape.linear(weights, "depthwise", window, self.channels, groups=self.channels)
            x = tape.linear(weights, "pointwise", x, self.channels)
        return Flow(Work.ENCODER_FRAMES, self._subsampled_width, x.needs_grad)

    @property
    def _subsampled_width(self) -> int:
        return self.channels * list(self._bins())[-1]

    def _bins(self) -> Iterator[int]:
        """The bins of the spectrogram after each stride."""
        bins = self.mel_bins
        for _ in range(self.strides):
            bins = self._strided(bins)
            yield bins

    def _strided(self, length: Positions) -> Positions:
        """Positions after a convolution of stride 2, which pads half a kernel at either end."""
        padding = (self.subsampling_kernel - 1) // 2
        return (length + 2 * padding - self.subsampling_kernel) // 2 + 1


def read_dims(config: ConfigFile) -> ParakeetDims:
    """Dimensions from the config.json of a Parakeet model with a CTC head, and from its feature extractor's file.

    What the encoder's section leaves out has transformers' default, which published models have too. Raises InputError
    on strides and kernels whose products are not known here.
    """
    encoder = config.section("encoder_config")
    encoder.expect("subsampling_conv_stride", 2, "other strides are not priced")
    factor = encoder.integer("subsampling_factor", 8)
    if factor not in (2, 4, 8):
        raise InputError(f"{config.path}: encoder_config.subsampling_factor is {factor}; expected 2, 4 or 8")
    default = ParakeetDims(name=config.path.parent.name, source=str(config.path))
    sizes: dict[str, Any] = {name: encoder.integer(given, getattr(default, name)) for name, given in SETTINGS.items()}
    dims = replace(
        default,
        hop_length=hop_length(config.path.parent),
        strides=factor.bit_length() - 1,
        vocabulary=config.integer("vocab_size", default.vocabulary),
        attention_bias=bool(encoder.values.get("attention_bias", True)),
        convolution_bias=bool(encoder.values.get("convolution_bias", True)),
        **sizes,
    )
    if dims.kernel % 2 == 0 or dims.mel_bins % factor:
        raise InputError(
            f"{config.path}: encoder_config has conv_kernel_size {dims.kernel} and num_mel_bins {dims.mel_bins};"
            f" expected an odd kernel and a multiple of {factor} bins"
        )
    return dims


ROWS = tuple(
    ParakeetDims(name=name, source=f"https://huggingface.co/nvidia/{name}/blob/main/config.json", layers=layers)
    for name, layers in (("parakeet-ctc-0.6b", 24), ("parakeet-ctc-1.1b", 42))
)
