"""w2v-BERT 2.0 (Barrault et al. 2023, section 3): stacked filter-bank frames, a Conformer, and a CTC head.

Attention knows positions by an embedding of the distance, cut off at either end (Shaw et al. 2018), of which every
query has a product with that of every key.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile, published
from scaling.base_models.encoders import ctc
from scaling.base_models.encoders.conformer import ConformerLayers
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, LoraSpec, Part

WINDOW, HOP, BINS = 400, 160, 80
"""Samples of a filter-bank frame and between two frames, and its bins (source: the SeamlessM4T feature extractor)."""

SIZES = {
    "width": ("hidden_size", 1024),
    "layers": ("num_hidden_layers", 24),
    "heads": ("num_attention_heads", 16),
    "ffn": ("intermediate_size", 4096),
    "kernel": ("conv_depthwise_kernel_size", 31),
}
"""Settings with transformers' defaults, which the published model has."""

asr_codec = ctc.asr_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav2Vec2BertDims(ctc.CtcDims):
    """A Conformer with a CTC head. Widths in features; `stack` filter-bank frames are one input frame.

    `distances` have an embedding each; farther ones have the last one's.
    """

    linears: ClassVar[tuple[str, ...]] = (
        "linear_q", "linear_k", "linear_v", "linear_out", "intermediate_dense", "output_dense",
    )  # fmt: skip

    stack: int
    kernel: int
    distances: int
    vocabulary: int

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder, without the mask embedding of pretraining."""
        projection = 2 * self.input_features + (self.input_features + 1) * self.width
        embeddings = self.distances * self.width // self.heads
        norms = 12 * self.width
        return projection + self.layers * (self._conformer.params() + embeddings + norms)

    @property
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""
        return SAMPLE_RATE / HOP / self.stack

    @property
    def input_features(self) -> int:
        """Features of an input frame: the bins of all filter-bank frames in it."""
        return BINS * self.stack

    def input_frames(self, samples: IntArray) -> IntArray:
        """The input frames of utterances of so many samples; what does not fill one is left out."""
        frames: IntArray = np.maximum((samples - WINDOW) // HOP + 1, 0) // self.stack
        return frames

    def encoder_work(self, samples: IntArray) -> dict[Work, IntArray]:
        """Units of work for utterances of so many samples."""
        frames = self.input_frames(samples)
        return {Work.ENCODER_FRAMES: frames, Work.ENCODER_PAIRS: frames**2}

    def encode(self, tape: Tape, lora: LoraSpec) -> Flow:
        """Record the encoder: from input frames to `width` features in each."""
        weights = Weights(Part.ENCODER, Part.ENCODER_LORA, lora)
        # A norm with weights comes before the projection: where it trains, the projection's input needs a gradient.
        normed = Flow(Work.ENCODER_FRAMES, self.input_features, Part.ENCODER in tape.trained)
        embeddings = Flow(Work.ENCODER_PAIRS, self.width, Part.ENCODER in tape.trained)
        frames = tape.linear(weights, "projection", normed, self.width)
        return self._conformer.record(tape, weights, frames, Work.ENCODER_PAIRS, lambda: embeddings)

    @property
    def _conformer(self) -> ConformerLayers:
        return ConformerLayers(self.layers, self.width, self.ffn, self.kernel, self.linears[:4], self.linears[4:])


def read_dims(config: ConfigFile) -> Wav2Vec2BertDims:
    """Dimensions of a w2v-BERT 2.0. Raises InputError on variants with other products: adapters, other positions."""
    config.expect("add_adapter", False, "adapters after the encoder are not priced")
    config.expect("use_intermediate_ffn_before_adapter", False, "a feed-forward after the encoder is not priced")
    config.expect("position_embeddings_type", "relative_key", "other positions are not priced")
    features = config.integer("feature_projection_input_dim", 160)
    if features % BINS:
        raise InputError(f"{config.path}: feature_projection_input_dim is {features}; expected a multiple of {BINS}")
    sides = ("left_max_position_embeddings", 64), ("right_max_position_embeddings", 8)
    dims = Wav2Vec2BertDims(
        **config.origin,
        **config.sizes(SIZES),
        stack=features // BINS,
        distances=1 + sum(config.integer(*side) for side in sides),
        vocabulary=config.integer("vocab_size"),
    )
    if dims.kernel % 2 == 0:
        raise InputError(f"{config.path}: conv_depthwise_kernel_size is {dims.kernel}; expected an odd number")
    return dims


ROWS = (Wav2Vec2BertDims(**published("facebook/w2v-bert-2.0", SIZES), stack=2, distances=73, vocabulary=32),)
"""The published model comes without a head: the vocabulary is that of letters, as in its kin (assumption)."""
