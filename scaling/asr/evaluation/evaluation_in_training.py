"""Measures hearing and the CER of the dev set during training, so rarely that this takes at most a tenth of the
time.
"""

import time
from collections.abc import Callable

from scaling.asr.checkpoint import Progress
from scaling.asr.evaluation.evaluate import Evaluation
from scaling.asr.evaluation.hearing import HearingTest
from scaling.asr.execution.ranks import Ranks
from scaling.asr.train import Interrupted
from scaling.cost.evaluation_pacing import DEV_EVALUATION_OVER_TRAINING, FIRST_DEV_EVALUATION_SECONDS, next_hearing_look
from scaling.ledger.records import Event

UTTERANCES = 100
"""Dev utterances evaluated during training: enough to see a curve, at a third of the cost of the usual dev set."""


class Pacing:
    """Says when the dev set is to be evaluated next."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Time spent on looks."""
        self._expected = 0.0

    def due(self, trained_seconds: float) -> bool:
        """Whether an evaluation is due after so much training."""
        allowed = (self.seconds + self._expected) / DEV_EVALUATION_OVER_TRAINING
        return trained_seconds >= max(FIRST_DEV_EVALUATION_SECONDS, allowed)

    def record(self, seconds: float) -> None:
        """Record an evaluation that took `seconds`; the next one is assumed to take as long."""
        self.seconds += seconds
        self._expected = seconds


class DevEvaluations:
    """To be called before every step: evaluates the dev set when an evaluation is due, and passes the result to `log`.

    Hearing is measured at the positions of `next_hearing_look`, and kept in the progress. `hearing_test` is None where
    the LLM does not take part, or nothing can be measured.
    """

    def __init__(
        self,
        evaluate_dev: Callable[[], Evaluation],
        hearing_test: HearingTest | None,
        log: Callable[[Event], None],
        start_seconds: float,
        ranks: Ranks,
    ) -> None:
        self._evaluate_dev, self._hearing_test, self._log, self._ranks = evaluate_dev, hearing_test, log, ranks
        self._start_seconds = start_seconds
        self._pacing = Pacing()

    @property
    def seconds(self) -> float:
        """Time spent on looks."""
        return self._pacing.seconds

    def __call__(self, progress: Progress) -> bool:
        """Whether dev was evaluated, which leaves the model in eval mode; one that is asked to stop is dropped."""
        heard = self._hearing_test is not None and self._measure_hearing(self._hearing_test, progress)
        if not self._ranks.broadcast(self._pacing.due(progress.seconds - self._start_seconds)):
            return heard
        began = time.perf_counter()
        try:
            evaluation = self._evaluate_dev()
        except Interrupted:
            return True
        self._pacing.record(time.perf_counter() - began)
        self._log(Event(event="dev", flops=progress.flops, cer=evaluation.summary()["cer"]))
        return True

    def _measure_hearing(self, test: HearingTest, progress: Progress) -> bool:
        """Whether hearing was measured. No clock decides this, so that all ranks agree."""
        last = progress.hearing[-1].flops if progress.hearing else 0
        if progress.flops < next_hearing_look(test.flops, last):
            return False
        began = time.perf_counter()
        hearing = test.measure(progress.flops)
        self._pacing.seconds += time.perf_counter() - began
        if hearing is not None:
            progress.hearing = (*progress.hearing, hearing)
            self._log(Event(event="hearing", flops=progress.flops, hearing=hearing))
        return True
