"""Memory of one step of training on one device, estimated from shapes: will this model fit, and what takes the room?

Counted: weights, gradients and AdamW's two moments of what trains, and what autograd keeps of a step for its backward
pass. All in fp32, but for runs in bf16: frozen linear layers and convolutions are stored in bf16; and of what trains,
matrices that a gradient passes on its way to other weights are kept once more, cast to bf16. Not counted: kernels'
working space, fragmentation, padding of a batch (about 1.07 times the activations), features, batches read ahead.

**Activations** are what a trained step keeps with fused attention, in elements of fp32; bf16 halves most of them, so
there the figure is an upper bound. For d the width of a model, q that of its queries, f of its feed-forward:

* a layer of an LLM, each position: 2d into its norms, 4q in attention, 3f in the feed-forward; where its weights or
  adapters train also 2d + q + f into its linear layers, and the rank of every adapter;
* a layer of a Whisper encoder: 9d + 2f; its two convolutions 5d and two frames of the features; of its decoder: 14d +
  2f, and 2d for each encoder position that it attends to;
* logits at target positions, their log-softmax and its gradient.

Equal within 0.2 % to what autograd keeps of Hugging Face's modules on the meta device (see the tests).
"""

from dataclasses import dataclass, replace

import numpy as np

from scaling.audio import SAMPLE_RATE
from scaling.encoders.whisper import WhisperDims
from scaling.flops import Training
from scaling.geometry import Geometry
from scaling.lengths import Lengths
from scaling.llms import LlmDims
from scaling.products import rates
from scaling.spec import Objective, Part, Precision
from scaling.tape import Work

BYTES = 4
"""A weight, a gradient, a moment or an activation in fp32."""

CAST_BYTES = 2
"""A weight cast to bf16."""

MOMENTS = 2
"""AdamW's, of each trained weight."""

LOGIT_COPIES = 3
"""Logits, their log-softmax, and its gradient."""

SAMPLED = 1000
"""Utterances looked at for their mean: enough for a percent."""

NO_WEIGHTS = (Work.ENCODER_PAIRS, Work.DECODER_PAIRS, Work.CROSS_PAIRS, Work.LLM_PAIRS, Work.FRONT_END)
"""Products of two activations, and those that are counted by multiply-adds: not two FLOPs a weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one device. `activations` is None where they were not asked for, or are not known for the encoder."""

    weights: int
    casts: int
    gradients: int
    moments: int
    activations: int | None

    @property
    def total(self) -> int:
        """All that is known of."""
        return self.weights + self.casts + self.gradients + self.moments + (self.activations or 0)


def step_memory(
    geometry: Geometry, training: Training, precision: Precision, lengths: Lengths, audio_seconds: float
) -> Memory:
    """Memory of a step on `audio_seconds` of speech like that of `lengths`, unpadded, in one piece."""
    sample = lengths[np.linspace(0, len(lengths) - 1, min(SAMPLED, len(lengths))).astype(np.int64)]
    kept = _activations(geometry, training, sample)
    steps = audio_seconds * SAMPLE_RATE / float(sample.samples.sum())
    return replace(
        state_memory(geometry, training, precision), activations=None if kept is None else round(kept * steps)
    )


def state_memory(geometry: Geometry, training: Training, precision: Precision) -> Memory:
    """Memory that training takes however little is heard at once: all but activations."""
    parts = frozenset(training.parts)
    products = rates(geometry, training.objective, parts)
    weights = loaded_weights(geometry, training.objective)
    adapters = parts & {Part.ENCODER_LORA, Part.LLM_LORA}
    weights |= {part: _of_linears(products[part].weight_grad) for part in adapters}
    trained = sum(weights[part] for part in parts)
    rounded = precision is Precision.BF16
    crossed = sum(_of_linears(of.input_grad) for part, of in products.items() if part in parts)
    return Memory(
        weights=BYTES * sum(weights.values()) - rounded * _saved_by_rounding(geometry, training.objective, parts),
        casts=CAST_BYTES * crossed * rounded,
        gradients=BYTES * trained,
        moments=BYTES * MOMENTS * trained,
        activations=None,
    )


def loaded_weights(geometry: Geometry, objective: Objective) -> dict[Part, int]:
    """Parameters of every part that an objective needs, without adapters."""
    encoder, llm = geometry.encoder, geometry.llm
    found = {Part.ENCODER: encoder.encoder_params, Part.ASR_DECODER: encoder.asr_decoder_params}
    if objective is Objective.LLM:
        found |= {Part.PROJECTOR: geometry.projector_params, Part.LLM: llm.params}
    return found


def sharded(whole: Memory, llm: LlmDims, devices: int) -> Memory:
    """The same step over `devices` that each hold a share of weights, gradients and moments, and of the utterances.

    A layer's weights are gathered where they are used: two layers of the LLM, or its embeddings if they are larger,
    beside the shares (assumption, of fully sharded data parallelism that gathers one layer while it computes another).
    """
    embeddings = llm.vocabulary * llm.width
    layer = (llm.params - embeddings * (1 if llm.tied else 2)) // llm.layers
    return Memory(
        weights=whole.weights // devices + BYTES * max(2 * layer, embeddings),
        casts=min(whole.casts, CAST_BYTES * 2 * layer),
        gradients=whole.gradients // devices,
        moments=whole.moments // devices,
        activations=None if whole.activations is None else whole.activations // devices,
    )


def _saved_by_rounding(geometry: Geometry, objective: Objective, trained: frozenset[Part]) -> int:
    """Bytes by which frozen weights are smaller in bf16. An output layer tied to embeddings is a copy then."""
    encoder, llm, nothing = geometry.encoder, geometry.llm, frozenset[Part]()
    forwards = {part: of.forward for part, of in rates(geometry, Objective.ASR, nothing).items()}
    tied = {Part.ASR_DECODER: encoder.vocabulary * encoder.width if isinstance(encoder, WhisperDims) else 0}
    if objective is Objective.LLM:
        forwards |= {part: of.forward for part, of in rates(geometry, objective, nothing).items()}
        tied[Part.LLM] = llm.vocabulary * llm.width if llm.tied else 0
    frozen = {part: _of_linears(flops) for part, flops in forwards.items() if part not in trained}
    return sum((BYTES - CAST_BYTES) * linears - BYTES * tied.get(part, 0) for part, linears in frozen.items())


def _of_linears(flops: dict[Work, int]) -> int:
    """Weights whose products cost so many FLOPs for each unit of work: two a weight."""
    return sum(count // 2 for work, count in flops.items() if work not in NO_WEIGHTS)


def _activations(geometry: Geometry, training: Training, lengths: Lengths) -> int | None:
    encoder = geometry.encoder
    if not isinstance(encoder, WhisperDims):
        return None
    frames = int(geometry.encoder_frames(lengths).sum())
    kept = 0
    if {Part.ENCODER, Part.ENCODER_LORA} & set(training.parts):
        layers = encoder.layers * (9 * encoder.width + 2 * encoder.ffn)
        kept += frames * (layers + 7 * encoder.width + 2 * encoder.mel_bins)
    if training.objective is Objective.ASR:
        written, targets = int(geometry.writing_positions(lengths).sum()), int(lengths.asr_tokens.sum())
        kept += written * encoder.decoder_layers * (14 * encoder.width + 2 * encoder.decoder_ffn)
        kept += frames * encoder.decoder_layers * 2 * encoder.width
        return BYTES * (kept + LOGIT_COPIES * targets * encoder.vocabulary)
    tokens = int(geometry.speech_tokens(lengths).sum())
    positions, targets = int(geometry.llm_positions(lengths).sum()), int(lengths.llm_tokens.sum())
    kept += tokens * (geometry.stack * encoder.width + 2 * geometry.hidden)
    kept += positions * _kept_by_llm(geometry, training)
    return BYTES * (kept + LOGIT_COPIES * targets * geometry.llm.vocabulary)


def _kept_by_llm(geometry: Geometry, training: Training) -> int:
    """Elements of each position."""
    llm, lora = geometry.llm, geometry.llm_lora
    queries = llm.heads * llm.head_dim
    layer = 2 * llm.width + 4 * queries + 3 * llm.ffn
    if {Part.LLM, Part.LLM_LORA} & set(training.parts):
        layer += 2 * llm.width + queries + llm.ffn
    if Part.LLM_LORA in training.parts:
        layer += lora.rank * len(lora.targets)
    return llm.layers * layer + llm.width
