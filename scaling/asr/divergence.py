"""When training has diverged: the loss is no number, or far above that of a model that guesses."""

import math

from scaling.asr.checkpoint import Progress
from scaling.cost.model_shape import ModelShape
from scaling.spec import Objective
from scaling.speech.lengths import Lengths

EXPLOSION = 5.0
"""Times the loss of uniform guessing beyond which a run has diverged. No run that learns reaches it (a projector at its
random start was seen at 0.75 of it), and a loss beyond it does not come down again. One step alone decides, so that an
interrupted run ends as an uninterrupted one (assumption)."""


class Diverged(Exception):
    """The loss is no longer a number, or has exploded; the message says where."""


def check_divergence(loss: float, progress: Progress, stage: str, guess_loss: float) -> None:
    """Raise Diverged where the loss of the step after `progress` is no number, or above 5 times `guess_loss`."""
    largest = EXPLOSION * guess_loss
    if not loss <= largest:  # also where it is NaN
        raise Diverged(
            f"loss {loss:.4g} at step {progress.steps} after {progress.flops:.3g} FLOPs of {stage!r};"
            f" expected at most {largest:.3g}, {EXPLOSION:g} times that of uniform guessing"
        )


def uniform_guess_loss(model_shape: ModelShape, objective: Objective, lengths: Lengths) -> float:
    """Nats a target token where all symbols are equally likely: with CTC a bound, as many paths spell one text."""
    if objective is Objective.LLM:
        return math.log(model_shape.llm.vocabulary)
    assert model_shape.encoder.objective is not None
    positions, targets = model_shape.output_positions(lengths).sum(), lengths.asr_tokens.sum()
    return math.log(model_shape.encoder.objective.vocabulary) * float(max(1.0, positions / targets))
