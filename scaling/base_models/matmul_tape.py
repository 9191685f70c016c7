"""A tape of matrix products: the symbolic forward pass of a model, which records FLOPs by part and by direction.

The forward pass carries one bit: do these activations need a gradient? A product whose input needs a gradient costs a
second product for it, and a product whose weight trains costs a third. Gradients that autograd leaves out (below the
lowest trained weight, in the first layer of a frozen part) are so left out here too.

Under gradient checkpointing a layer that a gradient passes runs again before its backward pass, up to the last tensor
that the backward pass reads (torch's early stop). A product reads its input and its weight before it computes, so the
last product of a layer is not repeated, unless a norm follows it and reads its result.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum

from scaling.spec import LoraSpec, Part


class Work(StrEnum):
    """What a product is repeated over: a batch has so many of these positions, or pairs of positions."""

    FRONT_END = "front_end"  # multiply-adds of a convolutional front end, which never trains
    MEL_FRAMES = "mel_frames"
    STRIDED_2 = "strided_2"  # cells of the spectrogram, frames x bins, once a stride has halved both
    STRIDED_4 = "strided_4"
    STRIDED_8 = "strided_8"
    CHUNK_FRAMES = "chunk_frames"  # positions of whole chunks, those of what fills up the last one among them
    ENCODER_FRAMES = "encoder_frames"
    ENCODER_PAIRS = "encoder_pairs"
    ENCODER_HEADS = "encoder_heads"  # a frame in each attention head
    ENCODER_DISTANCES = "encoder_distances"  # from the last frame before the first to the first before the last
    ENCODER_DISTANCE_PAIRS = "encoder_distance_pairs"  # frames x distances
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
class FlopRates:
    """FLOPs of one part for each unit of work, in the forward pass and for gradients of inputs and of weights."""

    forward: dict[Work, int] = field(default_factory=dict)
    input_grad: dict[Work, int] = field(default_factory=dict)
    weight_grad: dict[Work, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flow:
    """Activations: `width` features at every unit of `work`. `needs_grad`: their gradient is computed."""

    work: Work
    width: int
    needs_grad: bool

    def plus(self, other: "Flow") -> "Flow":
        """The sum with a residual branch."""
        return replace(self, needs_grad=self.needs_grad or other.needs_grad)


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of a module: their part, and the adapters on them, if any can train."""

    part: Part
    adapter_part: Part | None = None
    adapter: LoraSpec | None = None


@dataclass(slots=True)
class Tape:
    """Adds up the FLOPs of products while `trained` parts train.

    With `recompute`, layers that a gradient passes run forward twice. `times` is the number of equal layers that the
    products being recorded stand for, and `layer` lists the forward FLOPs of the current layer.
    """

    trained: Collection[Part]
    recompute: bool = False
    rates: dict[Part, FlopRates] = field(default_factory=dict)
    times: int = 1
    layer: list[tuple[Part, Work, int]] = field(default_factory=list)

    def linear(self, weights: Weights, name: str, x: Flow, fan_out: int, *, groups: int = 1) -> Flow:
        """Record a linear layer, or a convolution by its kernel's inputs in `groups`, with its adapter if it trains."""
        trains = weights.part in self.trained
        self._add(weights.part, x.work, x.width // groups * fan_out, input_grads=x.needs_grad, weight_grads=trains)
        part, lora = weights.adapter_part, weights.adapter
        if part is None or lora is None or part not in self.trained or name not in lora.targets:
            return Flow(x.work, fan_out, x.needs_grad or trains)
        self._add(part, x.work, x.width * lora.rank, input_grads=x.needs_grad, weight_grads=True)
        self._add(part, x.work, lora.rank * fan_out, input_grads=True, weight_grads=True)
        return Flow(x.work, fan_out, True)

    def product(self, part: Part, work: Work, left: Flow, right: Flow) -> bool:
        """Record a product of two activations over the width of `left`; return whether its result needs a gradient."""
        self._add(part, work, left.width, input_grads=left.needs_grad + right.needs_grad, weight_grads=0)
        return left.needs_grad or right.needs_grad

    def attention(self, part: Part, pairs: Work, query: Flow, key: Flow, value: Flow, *, bias: bool = False) -> Flow:
        """Record scores of queries and keys, then weighted sums of values; a product may have two input gradients.

        Every query head has keys and values of its own, because grouped ones are repeated: all have the queries' width.
        `bias`: what is added to the scores needs a gradient.
        """
        scores = self.product(part, pairs, query, key) or bias
        weighted = self.product(part, pairs, replace(query, needs_grad=scores), value)
        return replace(query, needs_grad=weighted)

    def add_frozen(self, part: Part, work: Work) -> None:
        """Record products that never have a backward pass; a unit of `work` is one multiply-add."""
        self._add(part, work, 1, input_grads=0, weight_grads=0)

    def layers(self, count: int, x: Flow, layer: Callable[[Flow], Flow], *, ends_in_norm: bool = False) -> Flow:
        """Record `count` equal layers: the first may need fewer gradients, all later ones need the same."""
        for self.times in (1, count - 1):
            self.layer.clear()
            x = layer(x)
            if self.recompute and x.needs_grad:
                for part, work, flops in self.layer if ends_in_norm else self.layer[:-1]:
                    self.rates[part].forward[work] += flops
        self.times = 1
        return x

    def _add(self, part: Part, work: Work, size: int, *, input_grads: int, weight_grads: int) -> None:
        sums = self.rates.setdefault(part, FlopRates())
        self.layer.append((part, work, 2 * size * self.times))
        for kind, count in ((sums.forward, 1), (sums.input_grad, input_grads), (sums.weight_grad, weight_grads)):
            if flops := 2 * size * self.times * count:
                kind[work] = kind.get(work, 0) + flops


def attention(
    tape: Tape,
    weights: Weights,
    x: Flow,
    memory: Flow,
    pairs: Work,
    heads: int,
    kv_heads: int,
    output: str,
    *,
    bias: bool = False,
) -> Flow:
    """Record attention of `x` to `memory`; `heads`, `kv_heads`: features of all heads; `bias` needs a gradient."""
    query = tape.linear(weights, "q_proj", x, heads)
    key = tape.linear(weights, "k_proj", memory, kv_heads)
    value = tape.linear(weights, "v_proj", memory, kv_heads)
    return tape.linear(weights, output, tape.attention(weights.part, pairs, query, key, value, bias=bias), x.width)


def feed_forward(tape: Tape, weights: Weights, x: Flow, inner: int, names: tuple[str, str] = ("fc1", "fc2")) -> Flow:
    """Record two linear layers of these names, with `inner` features between them."""
    return tape.linear(weights, names[1], tape.linear(weights, names[0], x, inner), x.width)
