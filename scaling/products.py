"""The matrix products of a step, and which of them have a backward pass: a symbolic run of the model.

Each module is walked once, as it computes, carrying one bit: does what flows here need a gradient? A product whose
input needs one pays for the gradient of its input, a product whose weight trains for that of its weight. So pruned
gradients (below the lowest trained weight, in a frozen part's first layer) come out as they do in autograd.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from scaling.geometry import Geometry
from scaling.spec import LoraSpec, Objective, Part


class Work(StrEnum):
    """What a product is repeated over; its amount in a batch is a count of positions, or of pairs of them."""

    MEL_FRAMES = "mel_frames"
    ENCODER_FRAMES = "encoder_frames"
    ENCODER_PAIRS = "encoder_pairs"
    DECODER = "decoder"
    DECODER_PAIRS = "decoder_pairs"
    CROSS_FRAMES = "cross_frames"
    CROSS_PAIRS = "cross_pairs"
    ASR_TARGETS = "asr_targets"
    SPEECH_TOKENS = "speech_tokens"
    LLM = "llm"
    LLM_PAIRS = "llm_pairs"
    LLM_TARGETS = "llm_targets"


@dataclass(frozen=True, slots=True)
class Rates:
    """FLOPs of one part for each unit of work, by kind."""

    forward: dict[Work, int] = field(default_factory=dict)
    input_grad: dict[Work, int] = field(default_factory=dict)
    weight_grad: dict[Work, int] = field(default_factory=dict)


@lru_cache(maxsize=256)
def rates(geometry: Geometry, objective: Objective, trained: frozenset[Part]) -> dict[Part, Rates]:
    """FLOPs of every part for each unit of work, in a step of `objective` that trains `trained`."""
    tape = _Tape(trained)
    speech = _encoder(tape, geometry)
    if objective is Objective.ASR:
        _asr_decoder(tape, geometry, speech)
    else:
        _llm(tape, geometry, _projector(tape, geometry, speech))
    return tape.rates


@dataclass(frozen=True, slots=True)
class _Weights:
    """The weights of a module: their part, and the adapters over them, if any train."""

    part: Part
    adapter_part: Part | None = None
    adapter: LoraSpec | None = None


@dataclass(slots=True)
class _Tape:
    """Adds up products. `times` is how many equal layers the products now recorded stand for."""

    trained: Collection[Part]
    rates: dict[Part, Rates] = field(default_factory=dict)
    times: int = 1

    def linear(self, weights: _Weights, name: str, work: Work, fan_in: int, fan_out: int, needs: bool) -> bool:
        """A linear layer `fan_in` x `fan_out` with its adapter; returns whether its output needs a gradient."""
        trains = weights.part in self.trained
        self._add(weights.part, work, fan_in * fan_out, input_grads=needs, weight_grads=trains)
        part, lora = weights.adapter_part, weights.adapter
        if part is None or lora is None or part not in self.trained or name not in lora.targets:
            return needs or trains
        self._add(part, work, fan_in * lora.rank, input_grads=needs, weight_grads=True)
        self._add(part, work, lora.rank * fan_out, input_grads=True, weight_grads=True)
        return True

    def attention(self, part: Part, pairs: Work, width: int, query: bool, key: bool, value: bool) -> bool:
        """Scores and their mix of values, over heads of `width` features in all; arguments say what needs gradients."""
        scores = query or key
        self._add(part, pairs, width, input_grads=query + key, weight_grads=0)
        self._add(part, pairs, width, input_grads=scores + value, weight_grads=0)
        return scores or value

    def layers(self, count: int, needs: bool, layer: Callable[[bool], bool]) -> bool:
        """`count` equal layers: the first may need fewer gradients, all after it need the same."""
        for self.times in (1, count - 1):
            needs = layer(needs)
        self.times = 1
        return needs

    def _add(self, part: Part, work: Work, size: int, *, input_grads: int, weight_grads: int) -> None:
        sums = self.rates.setdefault(part, Rates())
        for kind, count in ((sums.forward, 1), (sums.input_grad, input_grads), (sums.weight_grad, weight_grads)):
            if flops := 2 * size * self.times * count:
                kind[work] = kind.get(work, 0) + flops


def _encoder(tape: _Tape, geometry: Geometry) -> bool:
    dims, frames = geometry.encoder, Work.ENCODER_FRAMES
    weights = _Weights(Part.ENCODER, Part.ENCODER_LORA, geometry.encoder_lora)
    needs = tape.linear(weights, "conv1", Work.MEL_FRAMES, 3 * dims.mel_bins, dims.width, False)
    needs = tape.linear(weights, "conv2", frames, 3 * dims.width, dims.width, needs)

    def layer(needs: bool) -> bool:
        needs |= _attention(
            tape, weights, frames, needs, frames, needs, Work.ENCODER_PAIRS, dims.width, dims.width, dims.width
        )
        return needs | _feed_forward(tape, weights, frames, dims.width, dims.ffn, needs)

    return tape.layers(dims.layers, needs, layer)


def _asr_decoder(tape: _Tape, geometry: Geometry, speech: bool) -> None:
    dims, text, weights = geometry.encoder, Work.DECODER, _Weights(Part.ASR_DECODER)
    width = dims.width

    def layer(needs: bool) -> bool:
        needs |= _attention(tape, weights, text, needs, text, needs, Work.DECODER_PAIRS, width, width, width)
        needs |= _attention(
            tape, weights, text, needs, Work.CROSS_FRAMES, speech, Work.CROSS_PAIRS, width, width, width
        )
        return needs | _feed_forward(tape, weights, text, width, dims.decoder_ffn, needs)

    # The embeddings train with the decoder, so its first layer's input needs a gradient exactly when it trains.
    needs = tape.layers(dims.decoder_layers, Part.ASR_DECODER in tape.trained, layer)
    tape.linear(weights, "proj_out", Work.ASR_TARGETS, width, dims.vocabulary, needs)


def _projector(tape: _Tape, geometry: Geometry, speech: bool) -> bool:
    weights, tokens = _Weights(Part.PROJECTOR), Work.SPEECH_TOKENS
    needs = tape.linear(weights, "first", tokens, geometry.stack * geometry.encoder.width, geometry.hidden, speech)
    return tape.linear(weights, "second", tokens, geometry.hidden, geometry.llm.width, needs)


def _llm(tape: _Tape, geometry: Geometry, speech: bool) -> None:
    dims, weights = geometry.llm, _Weights(Part.LLM, Part.LLM_LORA, geometry.llm_lora)
    heads, kv_heads = dims.heads * dims.head_dim, dims.kv_heads * dims.head_dim

    def layer(needs: bool) -> bool:
        needs |= _attention(
            tape, weights, Work.LLM, needs, Work.LLM, needs, Work.LLM_PAIRS, dims.width, heads, kv_heads, "o_proj"
        )
        gate = tape.linear(weights, "gate_proj", Work.LLM, dims.width, dims.ffn, needs)
        up = tape.linear(weights, "up_proj", Work.LLM, dims.width, dims.ffn, needs)
        return needs | tape.linear(weights, "down_proj", Work.LLM, dims.ffn, dims.width, gate or up)

    # Text embeddings train with the LLM; they and the speech are one sequence, which needs a gradient if either does.
    needs = tape.layers(dims.layers, speech or Part.LLM in tape.trained, layer)
    tape.linear(weights, "lm_head", Work.LLM_TARGETS, dims.width, dims.vocabulary, needs)


def _attention(
    tape: _Tape,
    weights: _Weights,
    queries: Work,
    queries_need: bool,
    memory: Work,
    memory_needs: bool,
    pairs: Work,
    width: int,
    heads: int,
    kv_heads: int,
    output: str = "out_proj",
) -> bool:
    """Attention of `queries` over `memory`; `heads` and `kv_heads` are all heads' features together."""
    query = tape.linear(weights, "q_proj", queries, width, heads, queries_need)
    key = tape.linear(weights, "k_proj", memory, width, kv_heads, memory_needs)
    value = tape.linear(weights, "v_proj", memory, width, kv_heads, memory_needs)
    mixed = tape.attention(weights.part, pairs, heads, query, key, value)
    return tape.linear(weights, output, queries, heads, width, mixed)


def _feed_forward(tape: _Tape, weights: _Weights, work: Work, width: int, inner: int, needs: bool) -> bool:
    hidden = tape.linear(weights, "fc1", work, width, inner, needs)
    return tape.linear(weights, "fc2", work, inner, width, hidden)
