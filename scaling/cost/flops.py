"""FLOPs of training, exactly: every matrix product, from lengths alone.

**What is counted.** Two FLOPs a multiply-add in every linear layer, convolution and attention product; for training,
the products of the backward pass that a graph of the trained parts really has: the gradient of a product's inputs
where anything below it trains, and of its weight where the weight trains. A frozen encoder costs its forward pass; a
frozen LLM behind a trainable projector costs forward and input gradients, its output head included; a layer whose
input needs no gradient (the first convolution, or the first layer's q, k, v when only adapters train) has none.

**What is not.** Biases, norms, softmax, activations, embedding look-ups, residual sums, rotary tables, positions,
log-mel features, the loss, gradient clipping and the optimizer. Such work grows with a model's width, products with its
square: an estimated fraction of a percent at published widths, more for the minis.

**Conventions**, all of them choices:

* Logits are formed at target positions only, as the trainer does.
* Attention is charged over all query-key pairs, not half of them for being causal: that is what the products compute
  without a special kernel. A fused kernel may skip masked blocks and recomputes scores in its backward pass (3.5 times
  the forward instead of 3): neither is credited or charged. Grouped keys and values are repeated to all heads before
  the attention products, so those count every query head.
* No recomputation (gradient checkpointing) is charged, and kept outputs of a frozen encoder are not credited: FLOPs
  say what a step asks for, not how an implementation saves or wastes it. What keeping them saves is a third currency
  beside these two (`scaling.cost.step_costs`). What is recomputed is executed: every layer that a
  gradient passes, but for its last product where no norm reads the outcome (see `scaling.base_models.matmul_tape`).
* An adapter exists in a stage where it trains. One that has stopped training is merged into its weight: the same
  function at no cost.
* Rotary tables are positions, not model FLOPs. Current transformers build them element by element, so a counter sees
  nothing; a version that writes them as an outer product would show one small matrix product more a step.
* The base model's forward and input gradients belong to the base (`encoder`, `llm`), also where only its adapter
  trains; an adapter's own two products belong to `encoder_lora` or `llm_lora`.

**Two currencies.** `charged`: each utterance alone, at its real lengths. `executed`: a batch at its padded shapes,
equal to the last integer to an operation counter's view of the same step with eager attention (see the tests): torch's
own counter, corrected for grouped and depthwise convolutions, whose backward pass it counts as if they had no groups.
An utterance's charge is what a batch of it alone executes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.matmul_tape import FlopRates, Flow, Tape, Weights, Work
from scaling.cost.model_shape import ModelShape
from scaling.spec import Objective, Part
from scaling.speech.lengths import Lengths

Amounts = Mapping[Work, IntArray]
"""Work of each of n batches, by kind; every array has shape (n,)."""


class StageLike(Protocol):
    """A `spec.Stage`, or the stage of a design: what one of its steps trains."""

    @property
    def objective(self) -> Objective:
        """The loss."""

    @property
    def parts(self) -> Collection[Part]:
        """The parts that learn from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFlops:
    """FLOPs of one part: forward products (those that were run again, twice), gradients of inputs and of weights."""

    forward: int
    input_grad: int
    weight_grad: int

    @property
    def total(self) -> int:
        """All three."""
        return self.forward + self.input_grad + self.weight_grad


@lru_cache(maxsize=256)
def part_rates(
    model_shape: ModelShape, objective: Objective, trained: frozenset[Part], *, recompute: bool = False
) -> dict[Part, FlopRates]:
    """FLOPs of every part for a unit of work, in a step that trains `trained`; `recompute`: with layers run again."""
    tape = Tape(trained, recompute)
    speech = model_shape.encoder.encode(tape, model_shape.encoder_lora)
    if objective is Objective.ASR:
        assert model_shape.encoder.objective is not None, "refused before: see `ModelShape.refuse_missing_objective`"
        model_shape.encoder.objective.decode(tape, speech)
    else:
        model_shape.llm.decode(tape, model_shape.llm_lora, _projector(tape, model_shape, speech))
    return tape.rates


def charged(
    model_shape: ModelShape, training: StageLike, lengths: Lengths, only: Collection[Part] | None = None
) -> IntArray:
    """FLOPs charged for each utterance, alone at its real lengths: the currency of budgets. Shape (n,).

    `only` leaves out what other parts compute. int64 holds an utterance of any model here (2e8 positions of 7 billion
    parameters), not a large run: add up with `exact_sum`, or as Python integers.
    """
    return _totals(_training_rates(model_shape, training, only), _alone(model_shape, lengths))


def executed(
    model_shape: ModelShape, training: StageLike, lengths: Lengths, *, recompute: bool = False
) -> dict[Part, PartFlops]:
    """FLOPs of one step on `lengths` as one padded batch, by part. `recompute`: under gradient checkpointing."""
    parts = _training_rates(model_shape, training, recompute=recompute)
    return _by_part(parts, _padded(model_shape, lengths, [np.arange(len(lengths))]))


def executed_batches(
    model_shape: ModelShape,
    training: StageLike,
    lengths: Lengths,
    batches: Sequence[IntArray],
    only: Collection[Part] | None = None,
    *,
    recompute: bool = False,
) -> IntArray:
    """FLOPs of each padded batch of indices into `lengths` (len(batches),), of the parts `only`."""
    return _totals(
        _training_rates(model_shape, training, only, recompute=recompute), _padded(model_shape, lengths, batches)
    )


def six_nd(model_shape: ModelShape, training: StageLike, lengths: Lengths) -> int:
    """The usual estimate, for comparison: 6 x parameters x positions.

    Parameters are all of the modules in the step with embeddings (trained or not, adapters left out); positions are
    the language model's (the ASR decoder's in objective `asr`), as a user of the rule would count them.
    """
    if training.objective is Objective.ASR:
        params = model_shape.encoder.encoder_params + model_shape.encoder.asr_decoder_params
        return 6 * params * int(model_shape.output_positions(lengths).sum())
    params = model_shape.encoder.encoder_params + model_shape.projector_params + model_shape.llm.params
    return 6 * params * int(model_shape.llm_positions(lengths).sum())


def exact_sum(values: IntArray) -> int:
    """The sum as a Python integer: a run can hold more FLOPs than an int64.

    >>> exact_sum(np.array([2**62, 2**62, 2**62])) == 3 * 2**62
    True
    """
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFF_FFFF).sum())


def _training_rates(
    model_shape: ModelShape, training: StageLike, only: Collection[Part] | None = None, *, recompute: bool = False
) -> dict[Part, FlopRates]:
    parts = part_rates(model_shape, training.objective, frozenset(training.parts), recompute=recompute)
    return {part: of for part, of in parts.items() if only is None or part in only}


def _projector(tape: Tape, model_shape: ModelShape, speech: Flow) -> Flow:
    weights = Weights(Part.PROJECTOR)
    stacked = Flow(Work.SPEECH_TOKENS, model_shape.stack * speech.width, speech.needs_grad)
    return tape.linear(weights, "fc2", tape.linear(weights, "fc1", stacked, model_shape.hidden), model_shape.llm.width)


def _alone(model_shape: ModelShape, lengths: Lengths) -> Amounts:
    """Work of every utterance as a batch of its own."""
    return _amounts(
        model_shape,
        utterances=np.ones(len(lengths), dtype=np.int64),
        samples=lengths.samples,
        decoder=model_shape.output_positions(lengths),
        asr_targets=lengths.asr_tokens,
        llm=model_shape.llm_positions(lengths),
        llm_targets=lengths.llm_tokens,
    )


def _padded(model_shape: ModelShape, lengths: Lengths, batches: Sequence[IntArray]) -> Amounts:
    """Work of every batch, padded to its longest; targets are gathered, so they are never padded."""
    sizes = np.array([len(batch) for batch in batches], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    chosen = lengths[np.concatenate(batches)]

    def longest(values: IntArray) -> IntArray:
        return np.maximum.reduceat(values, starts)

    return _amounts(
        model_shape,
        utterances=sizes,
        samples=longest(chosen.samples),
        decoder=longest(model_shape.output_positions(chosen)),
        asr_targets=np.add.reduceat(chosen.asr_tokens, starts),
        llm=longest(model_shape.llm_positions(chosen)),
        llm_targets=np.add.reduceat(chosen.llm_tokens, starts),
    )


def _amounts(
    model_shape: ModelShape,
    *,
    utterances: IntArray,
    samples: IntArray,
    decoder: IntArray,
    asr_targets: IntArray,
    llm: IntArray,
    llm_targets: IntArray,
) -> Amounts:
    encoder = model_shape.encoder.encoder_work(samples)
    frames = encoder[Work.ENCODER_FRAMES]
    return {
        **{work: utterances * amount for work, amount in encoder.items()},
        Work.DECODER: utterances * decoder,
        Work.DECODER_PAIRS: utterances * decoder**2,
        Work.CROSS_FRAMES: utterances * frames,
        Work.CROSS_PAIRS: utterances * decoder * frames,
        Work.ASR_TARGETS: asr_targets,
        Work.SPEECH_TOKENS: utterances * -(-frames // model_shape.stack),
        Work.LLM: utterances * llm,
        Work.LLM_PAIRS: utterances * llm**2,
        Work.LLM_TARGETS: llm_targets,
    }


def _totals(parts: Mapping[Part, FlopRates], amounts: Amounts) -> IntArray:
    totals = np.zeros(len(amounts[Work.LLM]), dtype=np.int64)
    for part in parts.values():
        for kind in (part.forward, part.input_grad, part.weight_grad):
            for work, rate in kind.items():
                totals += rate * amounts[work]
    return totals


def _by_part(parts: Mapping[Part, FlopRates], amounts: Amounts) -> dict[Part, PartFlops]:
    sums = {work: int(values.sum()) for work, values in amounts.items()}  # work fits an int64, its FLOPs may not

    def flops(kind: Mapping[Work, int]) -> int:
        return sum(rate * sums[work] for work, rate in kind.items())

    return {
        part: PartFlops(forward=flops(of.forward), input_grad=flops(of.input_grad), weight_grad=flops(of.weight_grad))
        for part, of in parts.items()
    }
