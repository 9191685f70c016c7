"""wav2vec 2.0 and its kin, HuBERT and WavLM: convolutions on the waveform, a transformer encoder, and a CTC head over
its frames.

The convolutional front end never trains, as in the fine-tuning of the papers (Baevski et al. 2020, section 4.3; Hsu et
al. 2021, section 4.3; Chen et al. 2022, section V): the part `encoder` is everything after it.

WavLM adds to the scores of attention a bias for each distance and head, which a projection of the query position gates
(Chen et al. 2022, section III B): a small product of its own for every frame in every head.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile, published
from scaling.base_models.encoders import ctc
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, attention, feed_forward
from scaling.errors import InputError
from scaling.keys import OMIT_DEFAULT
from scaling.spec import SAMPLE_RATE, LoraSpec, Part

CHANNELS, KERNELS, STRIDES = (512,) * 7, (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
"""The front end of every published model: a frame of 400 samples every 320 samples (20 ms)."""

GATES = 8
"""Outputs of the projection that gates WavLM's bias: two gates, each a sum of four (source: its published code)."""

asr_codec = ctc.asr_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav2Vec2Dims(ctc.CtcDims):
    """A CTC encoder on the waveform. Widths in features, kernels and strides in positions of the layer below.

    With `layer_norms` each convolution is normalised over its features; otherwise only the first is, over time. In
    published models transformer layers end in a norm exactly where `layer_norms` is false; `norm_last` says whether
    they do in other models. `relative_buckets` of distances have a gated bias in WavLM, and there are none elsewhere.
    `plain_positions`: the positional convolution is not weight-normalised.
    """

    linears: ClassVar[tuple[str, ...]] = (
        "q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense",
    )  # fmt: skip

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    conv_bias: bool
    layer_norms: bool
    position_kernel: int
    position_groups: int
    vocabulary: int
    norm_last: bool | None = field(default=None, metadata=OMIT_DEFAULT)
    relative_buckets: int = field(default=0, metadata=OMIT_DEFAULT)
    plain_positions: bool = field(default=False, metadata=OMIT_DEFAULT)

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder with its frozen front end, without the mask embedding of pretraining."""
        weights = sum(kernel * below * above for kernel, below, above in self._convolutions())
        norms = sum(self.channels) if self.layer_norms else self.channels[0]
        front_end = weights + self.conv_bias * sum(self.channels) + 2 * norms
        projection = 2 * self.channels[-1] + (self.channels[-1] + 1) * self.width
        norms_of_kernel = 0 if self.plain_positions else self.position_kernel
        positions = self.position_kernel * self.width**2 // self.position_groups + norms_of_kernel + self.width
        attention = 4 * (self.width**2 + self.width)
        layer = attention + 2 * self.width * self.ffn + self.ffn + self.width + 4 * self.width
        relative = self.relative_buckets * self.heads
        if relative:
            layer += GATES * (self._head_width + 1) + self.heads
        return front_end + projection + positions + 2 * self.width + relative + self.layers * layer

    @property
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""
        return SAMPLE_RATE / float(np.prod(self.strides))

    @property
    def input_features(self) -> int:
        """Features of an input frame: one, the sample."""
        return 1

    def input_frames(self, samples: IntArray) -> IntArray:
        """The samples themselves, which the encoder reads."""
        return samples

    def encoder_work(self, samples: IntArray) -> dict[Work, IntArray]:
        """Units of work for utterances of so many samples; those of the front end are multiply-adds."""
        length, multiply_adds = samples, np.zeros_like(samples)
        for stride, (kernel, below, above) in zip(self.strides, self._convolutions(), strict=True):
            length = np.maximum((length - kernel) // stride + 1, 0)
            multiply_adds = multiply_adds + length * (kernel * below * above)
        heads = {Work.ENCODER_HEADS: length * self.heads} if self.relative_buckets else {}
        return {Work.FRONT_END: multiply_adds, Work.ENCODER_FRAMES: length, Work.ENCODER_PAIRS: length**2, **heads}

    def encode(self, tape: Tape, lora: LoraSpec) -> Flow:
        """Record the encoder: from samples to `width` features in each frame."""
        weights = Weights(Part.ENCODER, Part.ENCODER_LORA, lora)
        tape.add_frozen(Part.ENCODER, Work.FRONT_END)
        # A norm with weights comes before the projection: where it trains, the input of the projection needs a
        # gradient.
        normed = Flow(Work.ENCODER_FRAMES, self.channels[-1], Part.ENCODER in tape.trained)
        frames = tape.linear(weights, "projection", normed, self.width)
        kernel = Flow(Work.ENCODER_FRAMES, self.position_kernel * self.width, frames.needs_grad)
        frames = frames.plus(tape.linear(weights, "conv", kernel, self.width, groups=self.position_groups))

        def layer(x: Flow) -> Flow:
            sizes = (Work.ENCODER_PAIRS, self.width, self.width)
            x = x.plus(attention(tape, weights, x, x, *sizes, "out_proj", bias=self._gate(tape, weights, x)))
            return x.plus(feed_forward(tape, weights, x, self.ffn, ("intermediate_dense", "output_dense")))

        ends_in_norm = not self.layer_norms if self.norm_last is None else self.norm_last
        return tape.layers(self.layers, frames, layer, ends_in_norm=ends_in_norm)

    def _gate(self, tape: Tape, weights: Weights, x: Flow) -> bool:
        """Record the gate of WavLM's bias, where there is one: does the bias need a gradient?"""
        if not self.relative_buckets:
            return False
        heads = Flow(Work.ENCODER_HEADS, self._head_width, x.needs_grad)
        return tape.linear(weights, "gru_rel_pos_linear", heads, GATES).needs_grad

    @property
    def _head_width(self) -> int:
        return self.width // self.heads

    def _convolutions(self) -> Iterator[tuple[int, int, int]]:
        """For each convolution of the front end its kernel, its input features and its output features."""
        for kernel, (below, above) in zip(self.kernels, pairwise((1, *self.channels)), strict=True):
            yield kernel, below, above


def read_dims(config: ConfigFile) -> Wav2Vec2Dims:
    """Dimensions from the config.json of a wav2vec 2.0, HuBERT or WavLM model.

    Raises InputError on variants with other products: adapters after the encoder, projections without a norm, batch
    norm in the positions.
    """
    wavlm = config.values.get("model_type") == "wavlm"
    config.expect("add_adapter", False, "adapters after the encoder are not priced")
    config.expect("adapter_attn_dim", None, "adapters of languages are not priced")
    config.expect("feat_proj_layer_norm", True, "a projection without a norm is not priced")
    config.expect("conv_pos_batch_norm", False, "batch norm would mix the utterances of a batch")
    norm = config.values.get("feat_extract_norm", "group")
    if norm not in ("group", "layer"):
        raise InputError(f"{config.path}: feat_extract_norm must be 'group' or 'layer', not {norm!r}")
    norm_last = not config.flag("do_stable_layer_norm", False)
    dims = Wav2Vec2Dims(
        **config.origin,
        channels=config.integers("conv_dim", CHANNELS),
        kernels=config.integers("conv_kernel", KERNELS),
        strides=config.integers("conv_stride", STRIDES),
        conv_bias=config.flag("conv_bias", False),
        layer_norms=norm == "layer",
        width=config.integer("hidden_size"),
        layers=config.integer("num_hidden_layers"),
        heads=config.integer("num_attention_heads"),
        ffn=config.integer("intermediate_size"),
        position_kernel=config.integer("num_conv_pos_embeddings", 128),
        position_groups=config.integer("num_conv_pos_embedding_groups", 16),
        vocabulary=config.integer("vocab_size", 32),
        norm_last=norm_last if norm_last == (norm == "layer") else None,
        relative_buckets=config.integer("num_buckets", 320) if wavlm else 0,
    )
    return checked(dims, config)


def checked(dims: Wav2Vec2Dims, config: ConfigFile) -> Wav2Vec2Dims:
    """The dimensions, if each convolution has features, a kernel and a stride. Raises InputError where not."""
    if not len(dims.channels) == len(dims.kernels) == len(dims.strides):
        raise InputError(f"{config.path}: conv_dim, conv_kernel and conv_stride must be of one length")
    return dims


def row(hub_id: str, width: int, layers: int, *, layer_norms: bool = False, wavlm: bool = False) -> Wav2Vec2Dims:
    """A published model: all have heads of 64 features, feed-forwards of 4 widths and the letters of English."""
    return Wav2Vec2Dims(
        **published(hub_id),
        channels=CHANNELS,
        kernels=KERNELS,
        strides=STRIDES,
        conv_bias=layer_norms and not wavlm,
        layer_norms=layer_norms,
        width=width,
        layers=layers,
        heads=width // 64,
        ffn=4 * width,
        position_kernel=128,
        position_groups=16,
        vocabulary=32,
        relative_buckets=320 if wavlm else 0,
    )


ROWS = (
    row("facebook/wav2vec2-base", 768, 12),
    row("facebook/wav2vec2-base-960h", 768, 12),
    row("facebook/wav2vec2-large-960h", 1024, 24),
    row("facebook/wav2vec2-large-960h-lv60-self", 1024, 24, layer_norms=True),
    row("facebook/hubert-large-ls960-ft", 1024, 24, layer_norms=True),
    row("microsoft/wavlm-base", 768, 12, wavlm=True),
    row("microsoft/wavlm-base-plus", 768, 12, wavlm=True),
    row("microsoft/wavlm-large", 1024, 24, layer_norms=True, wavlm=True),
)
