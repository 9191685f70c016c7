"""Evaluations of the dev set during training, so rarely that they take at most a tenth of the time."""

import time
from collections.abc import Callable

from scaling.asr.checkpoint import Progress
from scaling.asr.evaluation.evaluate import Evaluation
from scaling.asr.execution.ranks import Ranks
from scaling.asr.train import Interrupted
from scaling.cost.decoding import DEV_EVALUATION_OVER_TRAINING, FIRST_DEV_EVALUATION_SECONDS
from scaling.ledger.records import Event

UTTERANCES = 100
"""Dev utterances evaluated during training: enough to see a curve, at a third of the cost of the usual dev set."""


class Pacing:
    """Says when the dev set is to be evaluated next."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Time spent on evaluations."""
        self._next = FIRST_DEV_EVALUATION_SECONDS

    def due(self, trained_seconds: float) -> bool:
        """Whether an evaluation is due after so much training."""
        return trained_seconds >= self._next

    def record(self, seconds: float, trained_seconds: float) -> None:
        """Record an evaluation that took `seconds`; the next one is assumed to take as long."""
        self.seconds += seconds
        self._next = max(trained_seconds, (self.seconds + seconds) / DEV_EVALUATION_OVER_TRAINING)


class DevEvaluations:
    """To be called before every step: evaluates the dev set when that is due, and logs the CER by `log`."""

    def __init__(
        self, evaluate_dev: Callable[[], Evaluation], log: Callable[[Event], None], start_seconds: float, ranks: Ranks
    ) -> None:
        self._evaluate_dev, self._log, self._ranks = evaluate_dev, log, ranks
        self._start_seconds = start_seconds
        self._pacing = Pacing()

    @property
    def seconds(self) -> float:
        """Time spent on evaluations."""
        return self._pacing.seconds

    def __call__(self, progress: Progress) -> bool:
        """True where the dev set was evaluated, which leaves the model in eval mode.

        An evaluation that is asked to stop is dropped: training, which is asked the same next, saves its state first.
        """
        trained_seconds = progress.seconds - self._start_seconds
        if not self._ranks.broadcast(self._pacing.due(trained_seconds)):
            return False
        began = time.perf_counter()
        try:
            evaluation = self._evaluate_dev()
        except Interrupted:
            return True
        self._pacing.record(time.perf_counter() - began, trained_seconds)
        self._log(Event(event="dev", flops=progress.flops, cer=evaluation.summary()["cer"]))
        return True
