"""Progress of an invocation of `run` while its workers work."""

import time
from collections.abc import Collection
from contextlib import suppress

from scaling.cost.amounts import duration
from scaling.errors import InputError
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log
from scaling.system.progress_line import ProgressLine
from sweeps.progress.eta import eta_seconds, pace_of
from sweeps.progress.results_table import Collector
from sweeps.progress.status import NodeStatus, State, Survey, ready, survey_study
from sweeps.progress.unusable import unusable_runs
from sweeps.run.outcome import SweepOutcome

UPDATE_SECONDS = 1.0
"""Seconds between reads of the ledger, and at least ten times as long as a read takes: training must not wait."""


class Monitor:
    """Reads the ledger while workers work, writes the table of runs, and shows the progress."""

    def __init__(self, plan_file: PlanFile, line: ProgressLine) -> None:
        self._plan_file = plan_file
        self._line = line
        self._collector = Collector(plan_file)
        self._next_update = 0.0
        self._started_workers: set[str | None] = set()
        self._reported = (0, 0)
        self.survey = survey_study(plan_file)

    def update(self, alive: Collection[str] = ()) -> Survey:
        """The newest survey. The ledger is read again, and progress shown, where the last update is old enough.

        `alive` holds the names of the workers that are alive, where the launcher knows them.
        """
        began = time.monotonic()
        if began < self._next_update:
            return self.survey
        done = len(self.survey.in_state(State.DONE))
        self._survey()
        if len(self.survey.in_state(State.DONE)) > done:
            with suppress(OSError):  # a full disk: the table is written again at the end
                self._collector.collect()
        self._show_progress(alive)
        self._next_update = time.monotonic() + max(UPDATE_SECONDS, 10 * (time.monotonic() - began))
        return self.survey

    def finish(self, stopped_by: int | None, *, detached: bool = False) -> SweepOutcome:
        """Write the table a last time, and log the nodes that failed or are blocked and the runs without weights."""
        try:
            rows = self._collector.collect()
        except OSError as error:
            raise InputError(
                f"{error.filename or self._plan_file.folder}: cannot be written ({error.strerror})"
            ) from error
        self._survey()
        for key in self.survey.in_state(State.FAILED):
            log(f"failed: {node_and_its_run(self._plan_file, key)}: {self.survey.nodes[key].cause}")
        for key in self.survey.in_state(State.BLOCKED):
            log(f"blocked: {node_and_its_run(self._plan_file, key)} {self.survey.nodes[key].cause}")
        unusable = unusable_runs(self._plan_file, self.survey)
        for lost in unusable:
            log(f"unusable: run {lost.run}: {lost.cause}")
        return SweepOutcome(rows=rows, survey=self.survey, stopped_by=stopped_by, detached=detached, unusable=unusable)

    def _survey(self) -> None:
        known: dict[str, NodeStatus] = dict(self.survey.nodes)
        self.survey = survey_study(self._plan_file, known=known, damaged=self._collector.damaged)

    def _show_progress(self, alive: Collection[str]) -> None:
        """Show the progress line: as news where the number of starting workers or of failed nodes has changed."""
        survey = self.survey
        self._started_workers |= {survey.nodes[key].worker for key in survey.in_state(State.RUNNING)}
        starting = min(len(set(alive) - self._started_workers), len(ready(self._plan_file, survey)))
        eta = eta_seconds(self._plan_file, survey, pace_of(self._plan_file, survey), len(alive))
        reported = (starting, len(survey.in_state(State.FAILED)))
        self._line.show(progress_text(survey, starting, eta), news=reported != self._reported)
        self._reported = reported


def progress_text(survey: Survey, starting: int, eta: float | None) -> str:
    """How a study stands, in a line. A narrow terminal cuts off its end, so the most important numbers come first."""
    running, decoding, runs = survey.in_state(State.RUNNING), len(survey.evaluating), survey.runs.values()
    return (
        f"{sum(state is State.DONE for state in runs)}/{len(runs)} runs, "
        + f"{starting} worker{'s' * (starting > 1)} starting, " * (starting > 0)
        + f"{len(running)} running"
        + f" ({decoding} decoding)" * (decoding > 0)
        + f", ETA {'unknown' if eta is None else duration(eta)}" * (not survey.finished)
        + f", {survey.done_flops / survey.total_flops:.0%} of FLOPs, {survey.remaining_flops:.2e} to go,"
        f" {len(survey.in_state(State.DONE))}/{len(survey.nodes)} nodes"
    )


def node_and_its_run(plan_file: PlanFile, key: str) -> str:
    """A node in words: its stage, its position, and a run that needs it; its key alone where its file is damaged."""
    try:
        node = plan_file.ledger.node(key)
    except InputError:
        return key
    run = next((run for run in plan_file.runs if key in run.nodes), None)
    user = f" of {run.strategy} on {run.encoder} + {run.llm}, seed {run.seed}" if run else ""
    return f"{key} (stage {node.stage.name!r} to {node.until_flops:.3g} FLOPs{user})"
