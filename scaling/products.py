"""The matrix products of a step, and which of them have a backward pass: a symbolic run of the model.

Each module is walked once, as it computes, carrying one bit: does what flows here need a gradient? A product whose
input needs one pays for the gradient of its input, a product whose weight trains for that of its weight. So pruned
gradients (below the lowest trained weight, in a frozen part's first layer) come out as they do in autograd.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
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
class _Flow:
    """Activations: `width` features at every unit of `work`; `needs` is the bit: must their gradient be computed?"""

    work: Work
    width: int
    needs: bool

    def plus(self, other: "_Flow") -> "_Flow":
        """A residual sum."""
        return replace(self, needs=self.needs or other.needs)


@dataclass(frozen=True, slots=True)
class _Weights:
    """The weights of a module: their part, and the adapters over them, if any can train."""

    part: Part
    adapter_part: Part | None = None
    adapter: LoraSpec | None = None


@dataclass(slots=True)
class _Tape:
    """Adds up products. `times` is how many equal layers the products now recorded stand for."""

    trained: Collection[Part]
    rates: dict[Part, Rates] = field(default_factory=dict)
    times: int = 1

    def linear(self, weights: _Weights, name: str, x: _Flow, fan_out: int) -> _Flow:
        """A linear layer with its adapter, if one trains. A convolution is one over its kernel's inputs."""
        trains = weights.part in self.trained
        self._add(weights.part, x.work, x.width * fan_out, input_grads=x.needs, weight_grads=trains)
        part, lora = weights.adapter_part, weights.adapter
        if part is None or lora is None or part not in self.trained or name not in lora.targets:
            return _Flow(x.work, fan_out, x.needs or trains)
        self._add(part, x.work, x.width * lora.rank, input_grads=x.needs, weight_grads=True)
        self._add(part, x.work, lora.rank * fan_out, input_grads=True, weight_grads=True)
        return _Flow(x.work, fan_out, True)

    def attention(self, part: Part, pairs: Work, query: _Flow, key: _Flow, value: _Flow) -> _Flow:
        """Scores of queries and keys, then their mix of values; a product of two activations has two input gradients.

        Every query head sees keys and values of its own: grouped ones are repeated, so all have the queries' width.
        """
        scores = query.needs or key.needs
        self._add(part, pairs, query.width, input_grads=query.needs + key.needs, weight_grads=0)
        self._add(part, pairs, query.width, input_grads=scores + value.needs, weight_grads=0)
        return replace(query, needs=scores or value.needs)

    def layers(self, count: int, x: _Flow, layer: Callable[[_Flow], _Flow]) -> _Flow:
        """`count` equal layers: the first may need fewer gradients, all after it need the same."""
        for self.times in (1, count - 1):
            x = layer(x)
        self.times = 1
        return x

    def _add(self, part: Part, work: Work, size: int, *, input_grads: int, weight_grads: int) -> None:
        sums = self.rates.setdefault(part, Rates())
        for kind, count in ((sums.forward, 1), (sums.input_grad, input_grads), (sums.weight_grad, weight_grads)):
            if flops := 2 * size * self.times * count:
                kind[work] = kind.get(work, 0) + flops


def _encoder(tape: _Tape, geometry: Geometry) -> _Flow:
    dims = geometry.encoder
    weights = _Weights(Part.ENCODER, Part.ENCODER_LORA, geometry.encoder_lora)
    mel = tape.linear(weights, "conv1", _Flow(Work.MEL_FRAMES, 3 * dims.mel_bins, False), dims.width)
    frames = tape.linear(weights, "conv2", _Flow(Work.ENCODER_FRAMES, 3 * dims.width, mel.needs), dims.width)

    def layer(x: _Flow) -> _Flow:
        x = x.plus(_attention(tape, weights, x, x, Work.ENCODER_PAIRS, dims.width, dims.width, "out_proj"))
        return x.plus(_feed_forward(tape, weights, x, dims.ffn))

    return tape.layers(dims.layers, frames, layer)


def _asr_decoder(tape: _Tape, geometry: Geometry, speech: _Flow) -> None:
    dims, weights = geometry.encoder, _Weights(Part.ASR_DECODER)
    memory = replace(speech, work=Work.CROSS_FRAMES)

    def layer(x: _Flow) -> _Flow:
        x = x.plus(_attention(tape, weights, x, x, Work.DECODER_PAIRS, dims.width, dims.width, "out_proj"))
        x = x.plus(_attention(tape, weights, x, memory, Work.CROSS_PAIRS, dims.width, dims.width, "out_proj"))
        return x.plus(_feed_forward(tape, weights, x, dims.decoder_ffn))

    # The embeddings train with the decoder, so its first layer's input needs a gradient exactly when it trains.
    text = tape.layers(dims.decoder_layers, _Flow(Work.DECODER, dims.width, Part.ASR_DECODER in tape.trained), layer)
    tape.linear(weights, "proj_out", replace(text, work=Work.ASR_TARGETS), dims.vocabulary)


def _projector(tape: _Tape, geometry: Geometry, speech: _Flow) -> _Flow:
    weights = _Weights(Part.PROJECTOR)
    stacked = _Flow(Work.SPEECH_TOKENS, geometry.stack * speech.width, speech.needs)
    return tape.linear(weights, "fc2", tape.linear(weights, "fc1", stacked, geometry.hidden), geometry.llm.width)


def _llm(tape: _Tape, geometry: Geometry, speech: _Flow) -> None:
    dims, weights = geometry.llm, _Weights(Part.LLM, Part.LLM_LORA, geometry.llm_lora)
    heads, kv_heads = dims.heads * dims.head_dim, dims.kv_heads * dims.head_dim

    def layer(x: _Flow) -> _Flow:
        x = x.plus(_attention(tape, weights, x, x, Work.LLM_PAIRS, heads, kv_heads, "o_proj"))
        gate = tape.linear(weights, "gate_proj", x, dims.ffn)
        up = tape.linear(weights, "up_proj", x, dims.ffn)
        return x.plus(tape.linear(weights, "down_proj", gate.plus(up), dims.width))

    # Text embeddings train with the LLM; they and the speech are one sequence, which needs a gradient if either does.
    sequence = _Flow(Work.LLM, dims.width, speech.needs or Part.LLM in tape.trained)
    hidden = tape.layers(dims.layers, sequence, layer)
    tape.linear(weights, "lm_head", replace(hidden, work=Work.LLM_TARGETS), dims.vocabulary)


def _attention(
    tape: _Tape, weights: _Weights, x: _Flow, memory: _Flow, pairs: Work, heads: int, kv_heads: int, output: str
) -> _Flow:
    """Attention of `x` over `memory`; `heads` and `kv_heads` are the features of all heads together."""
    query = tape.linear(weights, "q_proj", x, heads)
    key = tape.linear(weights, "k_proj", memory, kv_heads)
    value = tape.linear(weights, "v_proj", memory, kv_heads)
    return tape.linear(weights, output, tape.attention(weights.part, pairs, query, key, value), x.width)


def _feed_forward(tape: _Tape, weights: _Weights, x: _Flow, inner: int) -> _Flow:
    return tape.linear(weights, "fc2", tape.linear(weights, "fc1", x, inner), x.width)
