"""One invocation of `run`: enter the plan into the ledger, start workers, follow them, and tell what came of it."""

import time
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log
from scaling.system.progress_line import ProgressLine
from sweeps.launchers.dispatch import multi_process, refuse_unavailable, run_workers
from sweeps.launchers.options import Launcher
from sweeps.launchers.worker_command import other_trainer, trainer, worker_command
from sweeps.plan.prepare import Prepared
from sweeps.plan.write_plan import write_plan_file
from sweeps.progress.eta import eta_seconds, pace_of
from sweeps.progress.results_table import Collector
from sweeps.progress.retention import Quota
from sweeps.progress.status import NodeStatus, State, Survey, ready, survey
from sweeps.run.outcome import Outcome
from sweeps.run.wandb_tracker import end_tracker, start_tracker
from sweeps.study.speech import refuse_assumed
from sweeps.units import duration

LOOK_SECONDS = 1.0
"""Between looks at the ledger, and at least ten times as long as a look takes: watching must not cost training."""


def train(
    prepared: Prepared,
    folder: Path,
    ledger: Ledger,
    workers: int | None,
    launcher: Launcher = Launcher.LOCAL,
    *,
    detach: bool = False,
    retry_diverged: bool = False,
    worker: str | None = None,
) -> Outcome:
    """Train what is missing. Raises InputError, before anything is written, where it cannot begin.

    `workers` is at most how many work side by side, None for the launcher's default. With `detach` they are started
    and left to themselves. A node that diverged before stays so, unless `retry_diverged`. `worker` is the command of
    another trainer than ours: what weights it needs is its own affair.
    """
    study = prepared.study
    refuse_assumed(study.speech)
    refuse_unavailable(launcher, prepared.study, detach=detach)
    if worker is None:
        refuse_missing_weights(prepared)
        program = multi_process(launcher, study, trainer(shard=study.shard))
    else:
        program = other_trainer(worker)
    plan_file = write_plan_file(prepared.study, prepared.plan, folder, ledger)
    if retry_diverged:
        allow_diverged_retry(plan_file)
    command = worker_command(program, plan_file)
    tracker = start_tracker(folder) if prepared.study.tracker == "wandb" else None
    try:
        with closing(ProgressLine()) as line:
            follower = Follower(plan_file, line)
            stopped_by = None
            if not follower.survey.finished:
                quota = Quota(ledger, study.disk_quota_gb)

                def watch(alive: Collection[str] = ()) -> Survey:
                    quota.enforce()
                    return follower.look(alive)

                stopped_by = run_workers(
                    launcher, study, plan_file, command, workers=workers, watch=watch, detach=detach
                )
        return follower.finish(stopped_by, detached=detach)
    finally:
        end_tracker(tracker)


def refuse_missing_weights(prepared: Prepared) -> None:
    """Raise InputError where a model of the study has dimensions but no weights on this machine."""
    for model in prepared.study.models:
        for found in (model.encoder, model.llm):
            if found.directory is None:
                fetch = f", or the model from `hf download {found.hub_id}`, which needs network" if found.hub_id else ""
                raise InputError(
                    f"study {prepared.study.name!r}: {found.name} has no weights on this machine; expected a directory"
                    f" with weights{fetch}"
                )


def allow_diverged_retry(plan_file: PlanFile) -> None:
    """Let the nodes of a study that diverged be tried again."""
    for key in plan_file.nodes:
        attempts = [] if plan_file.ledger.done(key) else plan_file.ledger.attempts(key)
        failure = attempts[-1].failure() if attempts else None
        if failure is not None and failure.kind == "diverged":
            attempts[-1].allow_retry()


class Follower:
    """Looks at the ledger while workers work: keeps the table fresh and says how far they are."""

    def __init__(self, plan_file: PlanFile, line: ProgressLine) -> None:
        self._plan_file = plan_file
        self._line = line
        self._collector = Collector(plan_file)
        self._next_look = 0.0
        self._seen: set[str | None] = set()  # workers that have claimed a node
        self._news = (0, 0)
        self.survey = survey(plan_file)

    def look(self, alive: Collection[str] = ()) -> Survey:
        """Called often, with the names of workers that are `alive` where they are known; the newest survey.

        Looks, and says what it sees, when it is time to.
        """
        now = time.monotonic()
        if now < self._next_look:
            return self.survey
        done = len(self.survey.in_state(State.DONE))
        self._survey()
        if len(self.survey.in_state(State.DONE)) > done:
            with suppress(OSError):  # a full disk: the table is written again at the end
                self._collector.collect()
        self._tell(alive)
        self._next_look = time.monotonic() + max(LOOK_SECONDS, 10 * (time.monotonic() - now))
        return self.survey

    def finish(self, stopped_by: int | None, *, detached: bool = False) -> Outcome:
        """Write the table a last time, and name what failed and what waits for it."""
        self._survey()
        try:
            rows = self._collector.collect()
        except OSError as error:
            raise InputError(
                f"{error.filename or self._plan_file.folder}: cannot be written ({error.strerror})"
            ) from error
        for key in self.survey.in_state(State.FAILED):
            log(f"failed: {describe(self._plan_file, key)}: {self.survey.nodes[key].cause}")
        for key in self.survey.in_state(State.BLOCKED):
            log(f"blocked: {describe(self._plan_file, key)} {self.survey.nodes[key].cause}")
        return Outcome(rows=rows, survey=self.survey, stopped_by=stopped_by, detached=detached)

    def _survey(self) -> None:
        known: dict[str, NodeStatus] = dict(self.survey.nodes)
        self.survey = survey(self._plan_file, known=known)

    def _tell(self, alive: Collection[str]) -> None:
        """Say how the study stands; it is news where workers have started, or a node has failed."""
        found = self.survey
        self._seen |= {found.nodes[key].worker for key in found.in_state(State.RUNNING)}
        starting = min(len(set(alive) - self._seen), len(ready(self._plan_file, found)))
        eta = eta_seconds(self._plan_file, found, pace_of(self._plan_file, found), len(alive))
        news = (starting, len(found.in_state(State.FAILED)))
        self._line.show(progress_text(found, starting, eta), news=news != self._news)
        self._news = news


def progress_text(found: Survey, starting: int, eta: float | None) -> str:
    """How a study stands in a line, what matters most first: a narrow terminal cuts off the rest."""
    running, decoding, runs = found.in_state(State.RUNNING), len(found.evaluating), found.runs.values()
    return (
        f"{sum(state is State.DONE for state in runs)}/{len(runs)} runs, "
        + f"{starting} worker{'s' * (starting > 1)} starting, " * (starting > 0)
        + f"{len(running)} running"
        + f" ({decoding} decoding)" * (decoding > 0)
        + f", ETA {'unknown' if eta is None else duration(eta)}" * (not found.finished)
        + f", {found.done_flops / found.total_flops:.0%} of FLOPs, {found.remaining_flops:.2e} to go,"
        f" {len(found.in_state(State.DONE))}/{len(found.nodes)} nodes"
    )


def describe(plan_file: PlanFile, key: str) -> str:
    """A node in words: the stage and position, and a run that needs it."""
    node = plan_file.ledger.node(key)
    run = next((run for run in plan_file.runs if key in run.nodes), None)
    user = f" of {run.strategy} on {run.encoder} + {run.llm}, seed {run.seed}" if run else ""
    return f"{key} (stage {node.stage.name!r} to {node.until_flops:.3g} FLOPs{user})"
