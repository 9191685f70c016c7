"""Memory of one step of training on one device, estimated from shapes: will this model fit, and what takes the room?

Counted: weights, gradients and AdamW's two moments of what trains, and what autograd keeps of a piece of a step for its
backward pass. All in fp32, but for runs in bf16: frozen linear layers and convolutions are stored in bf16; and of what
trains, matrices that a gradient passes on its way to other weights are kept once more, cast to bf16. Not counted:
kernels' working space, fragmentation, padding of a batch (about 1.07 times the activations), features, batches read
ahead, tensors that a backward pass hands on.

**Activations** are what a trained step keeps with fused attention, in elements of fp32; bf16 halves most of them, so
there the figure is an upper bound. For d the width of a model, q that of its queries, f of its feed-forward:

* a layer of an LLM, each position: 2d into its norms, 4q in attention, 3f in the feed-forward; where its weights or
  adapters train also 2d + q + f into its linear layers, and the rank of every adapter;
* a layer of a Whisper encoder: 9d + 2f; its two convolutions 5d and two frames of the features; of its decoder: 14d +
  2f, and 2d for each encoder position that it attends to;
* logits at target positions, their log-softmax and its gradient.

Under gradient checkpointing a layer keeps d a position, what goes into it, and beside all that there is at any time
either one layer's activations, the largest's, or the logits.

Equal within 0.2 % to what autograd keeps of Hugging Face's modules on the meta device, under checkpointing within 1.5 %
(see the tests).

**Sharded**, each device holds its share of the LLM and its adapters (weights, gradients, moments), and gathers what it
computes with: embeddings and head for a whole step, and two layers. Encoder and projector are whole everywhere, and so
are casts: autocast holds on to them to the end of a forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scaling.base_models.encoders.whisper import WhisperDims, WhisperEncoderDims
from scaling.base_models.llms import LlmDims
from scaling.base_models.matmul_tape import Work
from scaling.cost.flops import StageLike, part_rates
from scaling.cost.model_shape import ModelShape
from scaling.spec import SAMPLE_RATE, Objective, Part, Precision
from scaling.speech.lengths import Lengths

BYTES = 4
"""Bytes of a weight, a gradient, a moment or an activation in fp32."""

CAST_BYTES = 2
"""Bytes of a weight that is cast to bf16."""

MOMENTS = 2
"""Moments that AdamW holds for each trained weight."""

LOGIT_COPIES = 3
"""Tensors of the logits' size: the logits, their log-softmax, and its gradient."""

SHARDED = (Part.LLM, Part.LLM_LORA)
"""Parts of which each device may hold a share; encoder and projector are whole everywhere."""

GATHERED_LAYERS = 2
"""Layers gathered at a time: one is fetched while another computes (assumption, of FSDP2's prefetching)."""

SAMPLED = 1000
"""Utterances over which lengths are averaged: the mean is then known to a percent (assumption)."""

NO_WEIGHTS = (
    Work.ENCODER_PAIRS,
    Work.ENCODER_DISTANCE_PAIRS,
    Work.DECODER_PAIRS,
    Work.CROSS_PAIRS,
    Work.LLM_PAIRS,
    Work.FRONT_END,
)
"""Work without two FLOPs a weight: products of two activations, and the front end, counted by multiply-adds."""


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
        """Bytes of everything that is known."""
        return self.weights + self.casts + self.gradients + self.moments + (self.activations or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExecution:
    """How a worker makes a step fit its devices, one for each of `processes`. It never changes what the step computes.

    `shard`: each process holds a share of the LLM. `pieces`: each process computes its part of the batch in so many
    pieces, one after another. `recompute`: gradient checkpointing.
    """

    processes: int = 1
    shard: bool = False
    pieces: int = 1
    recompute: bool = False


def step_memory(
    model_shape: ModelShape,
    training: StageLike,
    precision: Precision,
    lengths: Lengths,
    audio_seconds: float,
    thrift: StepExecution = StepExecution(),
) -> Memory:
    """Memory of a step on `audio_seconds` of such speech, unpadded, on each device; no piece is below an utterance."""
    sample = lengths[np.linspace(0, len(lengths) - 1, min(SAMPLED, len(lengths))).astype(np.int64)]
    kept = _activations(model_shape, training, sample, recompute=thrift.recompute)
    piece = audio_seconds * SAMPLE_RATE / (thrift.processes * thrift.pieces)  # samples
    samples_at_once = max(piece, float(sample.samples.mean()))
    state = state_memory(model_shape, training, precision, sharers=thrift.processes if thrift.shard else 1)
    share = samples_at_once / float(sample.samples.sum())
    return replace(state, activations=None if kept is None else round(kept * share))


def state_memory(model_shape: ModelShape, training: StageLike, precision: Precision, *, sharers: int = 1) -> Memory:
    """Memory of all but activations; an LLM of the objective is spread over so many `sharers`."""
    parts = frozenset(training.parts)
    products = part_rates(model_shape, training.objective, parts)
    weights = loaded_weights(model_shape, training.objective)
    adapters = parts & {Part.ENCODER_LORA, Part.LLM_LORA}
    weights |= {part: _of_linears(products[part].weight_grad) for part in adapters}
    rounded = precision is Precision.BF16
    saved = _saved_by_rounding(model_shape, training.objective, parts) if rounded else {}
    stored = {part: BYTES * count - saved.get(part, 0) for part, count in weights.items()}
    gradients = {part: BYTES * weights[part] for part in parts}
    crossed = sum(_of_linears(of.input_grad) for part, of in products.items() if part in parts)
    gathered = gathered_gradients = 0
    if sharers > 1 and training.objective is Objective.LLM:
        trains = Part.LLM in parts
        gathered = _gathered(model_shape.llm, stored, _ends(model_shape.llm, rounded=rounded and not trains))
        gathered_gradients = _gathered(model_shape.llm, gradients, _ends(model_shape.llm) if trains else 0)
    return Memory(
        weights=_on_each(stored, sharers) + gathered,
        casts=CAST_BYTES * crossed * rounded,
        gradients=_on_each(gradients, sharers) + gathered_gradients,
        moments=MOMENTS * _on_each(gradients, sharers),
        activations=None,
    )


def loaded_weights(model_shape: ModelShape, objective: Objective) -> dict[Part, int]:
    """Parameters of every part that an objective needs, without adapters."""
    encoder, llm = model_shape.encoder, model_shape.llm
    weights = {Part.ENCODER: encoder.encoder_params, Part.ASR_DECODER: encoder.asr_decoder_params}
    if objective is Objective.LLM:
        weights |= {Part.PROJECTOR: model_shape.projector_params, Part.LLM: llm.params}
    return weights


def _on_each(amounts: dict[Part, int], sharers: int) -> int:
    """Of these amounts, what lies on each device: a share of the LLM's, and all else."""
    return sum(amount // sharers if part in SHARDED else amount for part, amount in amounts.items())


def _gathered(llm: LlmDims, amounts: dict[Part, int], ends: int) -> int:
    """Of the LLM's, what is gathered at a time: `ends`, which are no layers, and two layers."""
    layers = sum(amounts.get(part, 0) for part in SHARDED) - ends
    return ends + GATHERED_LAYERS * layers // llm.layers


def _ends(llm: LlmDims, *, rounded: bool = False) -> int:
    """Bytes of embeddings and head."""
    table = llm.vocabulary * llm.width
    return BYTES * table + (CAST_BYTES * table if rounded else BYTES * table * (not llm.tied))


def _saved_by_rounding(model_shape: ModelShape, objective: Objective, trained: frozenset[Part]) -> dict[Part, int]:
    """Bytes by which frozen weights are smaller in bf16. An output layer tied to embeddings is a copy then."""
    encoder, llm, nothing = model_shape.encoder, model_shape.llm, frozenset[Part]()
    own = part_rates(model_shape, Objective.ASR, nothing) if encoder.objective is not None else {}
    forwards = {part: of.forward for part, of in own.items()}
    tied = {Part.ASR_DECODER: encoder.vocabulary * encoder.width if isinstance(encoder, WhisperDims) else 0}
    if objective is Objective.LLM:
        forwards |= {part: of.forward for part, of in part_rates(model_shape, objective, nothing).items()}
        tied[Part.LLM] = llm.vocabulary * llm.width if llm.tied else 0
    frozen = {part: _of_linears(flops) for part, flops in forwards.items() if part not in trained}
    return {part: (BYTES - CAST_BYTES) * linears - BYTES * tied.get(part, 0) for part, linears in frozen.items()}


def _of_linears(flops: dict[Work, int]) -> int:
    """Weights whose products cost so many FLOPs for each unit of work: two a weight."""
    return sum(count // 2 for work, count in flops.items() if work not in NO_WEIGHTS)


@dataclass(frozen=True, slots=True)
class _Stack:
    """Elements that each of `layers` keeps: what goes into it, and all of it."""

    layers: int
    inputs: int
    kept: int


def _activations(model_shape: ModelShape, training: StageLike, lengths: Lengths, *, recompute: bool) -> int | None:
    encoder, own = model_shape.encoder, training.objective is Objective.ASR
    if not isinstance(encoder, WhisperEncoderDims) or (own and not isinstance(encoder, WhisperDims)):
        return None
    frames, width = int(model_shape.encoder_frames(lengths).sum()), encoder.width
    between, stacks = 0, []
    if {Part.ENCODER, Part.ENCODER_LORA} & set(training.parts):
        between += frames * (7 * width + 2 * encoder.mel_bins)
        stacks.append(_Stack(encoder.layers, frames * width, frames * (9 * width + 2 * encoder.ffn)))
    if own and isinstance(encoder, WhisperDims):
        written = int(model_shape.output_positions(lengths).sum())
        kept = written * (14 * width + 2 * encoder.decoder_ffn) + frames * 2 * width
        stacks.append(_Stack(encoder.decoder_layers, written * width, kept))
        logits = int(lengths.asr_tokens.sum()) * encoder.vocabulary
    else:
        tokens, positions = int(model_shape.speech_tokens(lengths).sum()), int(model_shape.llm_positions(lengths).sum())
        between += tokens * (model_shape.stack * width + 2 * model_shape.hidden) + positions * model_shape.llm.width
        kept = positions * _kept_by_llm_layer(model_shape, training)
        stacks.append(_Stack(model_shape.llm.layers, positions * model_shape.llm.width, kept))
        logits = int(lengths.llm_tokens.sum()) * model_shape.llm.vocabulary
    return BYTES * (between + _kept_by_layers(stacks, LOGIT_COPIES * logits, recompute=recompute))


def _kept_by_layers(stacks: Sequence[_Stack], logits: int, *, recompute: bool) -> int:
    if not recompute:
        return logits + sum(stack.layers * stack.kept for stack in stacks)
    at_a_time = max(logits, *(stack.kept - stack.inputs for stack in stacks))
    return at_a_time + sum(stack.layers * stack.inputs for stack in stacks)


def _kept_by_llm_layer(model_shape: ModelShape, training: StageLike) -> int:
    """Elements of each position."""
    llm, lora = model_shape.llm, model_shape.llm_lora
    queries = llm.heads * llm.head_dim
    layer = 2 * llm.width + 4 * queries + 3 * llm.active_ffn
    if {Part.LLM, Part.LLM_LORA} & set(training.parts):
        layer += 2 * llm.width + queries + llm.active_ffn
    if Part.LLM_LORA in training.parts:
        layer += lora.rank * len(lora.targets)
    return layer
