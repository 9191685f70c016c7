"""Results from a planted law instead of training: everything but the trainer runs, in seconds, for tests and trials.

The planted law of a run, with C its charged FLOPs, P the parameters of encoder and LLM, and z a standard normal number
drawn from the run's key:

    cer = min(1, (E + A * (C / (1e6 P))^-b) * exp(0.03 z))

E, A and b depend on the strategy (`PLANTED`), so curves cross: the frozen encoder is best at small budgets and keeps a
floor, `joint` starts worst and falls fastest. A strategy of the user's own follows `joint`. The constants are invented:
nothing here says which strategy is better.
"""

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.ledger.ledger import RESULT_FILE, SCHEMA, Ledger
from scaling.ledger.records import NodeResult, Scores, Spent
from scaling.scoring.score import normalised
from scaling.spec import RunSpec, Scoring, StageNode
from scaling.speech.string_column import StringColumn
from scaling.system.atomic_files import write_json_once
from scaling.system.progress_line import ProgressLine
from sweeps.plan.plan import PlannedNode
from sweeps.plan.prepare import Prepared
from sweeps.plan.write_plan import write_plan_file
from sweeps.run.monitor import Monitor
from sweeps.run.outcome import SweepOutcome
from sweeps.study.study_model import StudyModel

NOISE = 0.03
"""Spread of log CER between seeds (about that of the minis over three seeds; LOG.md)."""

FLOPS_PER_PARAM = 1e6
"""Training FLOPs a parameter at which the law's power is 1: the minis' CER is near 0.07 there."""

PADDING = 1.06
"""Executed FLOPs over charged FLOPs (assumption)."""

SIMULATED_FLOPS_PER_SECOND = 3e10
"""Speed of a simulated worker (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedLaw:
    """cer = floor + scale * x^-exponent, with x in units of `FLOPS_PER_PARAM` x parameters."""

    floor: float
    scale: float
    exponent: float

    def cer(self, x: float) -> float:
        """The error rate without noise."""
        return min(1.0, self.floor + self.scale * math.pow(x, -self.exponent))


PLANTED = {
    "efin": PlantedLaw(floor=0.010, scale=0.060, exponent=0.80),
    "joint": PlantedLaw(floor=0.008, scale=0.066, exponent=0.95),
    "frozen_encoder": PlantedLaw(floor=0.050, scale=0.090, exponent=0.50),
    "projector_only": PlantedLaw(floor=0.150, scale=0.120, exponent=0.45),
    "projector_then_joint": PlantedLaw(floor=0.010, scale=0.064, exponent=0.86),
    "staged_joint": PlantedLaw(floor=0.012, scale=0.068, exponent=0.84),
    "efin_then_joint": PlantedLaw(floor=0.006, scale=0.070, exponent=0.82),
    "efin_no_align": PlantedLaw(floor=0.012, scale=0.072, exponent=0.78),
}


def planted_law(run: RunSpec) -> PlantedLaw:
    """The law that the simulated runs of this strategy follow; one of the user's own has `joint`'s."""
    return PLANTED.get(run.strategy.name, PLANTED["joint"])


def planted_cer(run: RunSpec, params: int) -> float:
    """The simulated error rate of a run, with its noise."""
    law = planted_law(run).cer(run.budget_flops / (FLOPS_PER_PARAM * params))
    return min(1.0, law * math.exp(NOISE * random.Random(run.key).gauss(0.0, 1.0)))


def simulated_ledger(root: Path) -> Ledger:
    """A ledger apart, because real nodes with the same keys are trained; it does not wait for the disk."""
    return Ledger(root / "simulated", durable=False)


def simulate_runs(prepared: Prepared, folder: Path, ledger: Ledger) -> SweepOutcome:
    """Write a result for every node of the plan, and the table of runs as after training."""
    plan_file = write_plan_file(prepared.study, prepared.plan, folder, ledger, prepared.since)
    simulation = _Simulation(prepared)
    for key, planned in prepared.plan.nodes.items():
        entry = {"schema": SCHEMA, "key": key, "attempt": 0, **simulation.result(planned).as_json()}
        write_json_once(ledger.folder(key) / RESULT_FILE, entry, durable=False)
    return Monitor(plan_file, ProgressLine()).finish(stopped_by=None)


class _Simulation:
    """Makes the results of a plan's nodes."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._params = {model.spec: _params(model) for model in prepared.study.models}
        self._runs = {run.end: run.spec for run in prepared.plan.runs}
        speech = prepared.study.speech
        self._dev = _size(speech.dev.texts, speech.spec.scoring)
        self._tests = {name: _size(test.texts, speech.spec.scoring) for name, test in speech.tests}

    def result(self, planned: PlannedNode) -> NodeResult:
        """The result of a node: what it would have taken, and error rates where a run ends."""
        node = planned.node
        counts, own = self._counts(node, node.until_flops), self._counts(node, node.flops)
        train_seconds = 3600 * self._prepared.study.speech.train.hours
        audio_seconds = self._audio_before(node) + counts["audio_seconds"]
        run = self._runs.get(planned.key)
        return NodeResult(
            status="ok",
            **counts,
            unique_audio_seconds=min(audio_seconds, train_seconds),
            spent=Spent(flops=node.flops, executed_flops=own["executed_flops"], seconds=own["seconds"]),
            loss=None,
            checkpoint=None,
            utterances=None,
            dev=self._dev_scores(run) if run else None,
            test=self._test_scores(run) if run else None,
            provenance={"simulated": True},
        )

    def _counts(self, node: StageNode, flops: int) -> dict[str, Any]:
        consumption = self._prepared.consumptions[node.model, node.stage]
        return {
            "flops": flops,
            "executed_flops": round(flops * PADDING),
            "steps": max(1, round(flops / consumption.flops_per_step)),
            "audio_seconds": flops / consumption.flops_per_audio_second,
            "seconds": flops / SIMULATED_FLOPS_PER_SECOND,
        }

    def _audio_before(self, node: StageNode) -> float:
        """Seconds of audio that the stages before the node's stage trained on."""
        audio_seconds, parent = 0.0, node.parent
        while parent is not None:
            node = self._prepared.plan.nodes[parent].node
            audio_seconds += self._counts(node, node.until_flops)["audio_seconds"]
            parent = node.parent
        return audio_seconds

    def _dev_scores(self, run: RunSpec) -> Scores:
        noise = math.exp(NOISE * random.Random(f"{run.key} dev").gauss(0.0, 1.0))
        return _scores(min(1.0, planted_cer(run, self._params[run.model]) * noise), *self._dev)

    def _test_scores(self, run: RunSpec) -> dict[str, Scores]:
        cer = planted_cer(run, self._params[run.model])
        return {name: _scores(cer, *size) for name, size in self._tests.items()}


def _params(model: StudyModel) -> int:
    return model.encoder.dims.encoder_params + model.llm.dims.params


def _size(texts: StringColumn, scoring: Scoring) -> tuple[int, int]:
    """Characters and utterances of a set."""
    return sum(len(normalised(text, scoring)) for text in texts), len(texts)


def _scores(cer: float, ref_chars: int, n_utterances: int) -> Scores:
    errors = round(cer * ref_chars)
    return Scores(cer=errors / ref_chars, errors=errors, ref_chars=ref_chars, n_utterances=n_utterances)
