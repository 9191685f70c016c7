"""One invocation of `run`: enter the plan into the ledger, start workers, and show their progress until they end."""

from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.system.progress_line import ProgressLine
from sweeps.launchers.dispatch import multi_process, refuse_unavailable, run_workers
from sweeps.launchers.options import Launcher
from sweeps.launchers.worker_command import other_trainer, trainer, worker_command
from sweeps.plan.prepare import Prepared
from sweeps.plan.write_plan import write_plan_file
from sweeps.progress.retention import Quota
from sweeps.progress.status import Survey
from sweeps.run.monitor import Monitor
from sweeps.run.outcome import SweepOutcome
from sweeps.run.tracking import end_tracker, start_tracker
from sweeps.study.speech import refuse_assumed


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
) -> SweepOutcome:
    """Train what is missing. Raises InputError, before anything is written, where training cannot begin.

    At most `workers` workers run at the same time; None is the launcher's default. With `detach` they are started and
    go on alone. Nodes that diverged before are tried again with `retry_diverged` only. `worker` is the command of
    another trainer; the base models' weights are then not asked for.
    """
    study = prepared.study
    refuse_assumed(study.speech)
    refuse_unavailable(launcher, prepared.study, detach=detach)
    if worker is None:
        refuse_missing_weights(prepared)
        program = multi_process(launcher, study, trainer(shard=study.shard))
    else:
        program = other_trainer(worker)
    plan_file = write_plan_file(prepared.study, prepared.plan, folder, ledger, prepared.since)
    if retry_diverged:
        allow_diverged_retry(plan_file)
    command = worker_command(program, plan_file)
    tracker = None if (to := prepared.study.tracker) == "none" else start_tracker(folder, to)
    try:
        with closing(ProgressLine()) as line:
            monitor = Monitor(plan_file, line)
            stopped_by = None
            if not monitor.survey.finished:
                quota = Quota(ledger, study.disk_quota_gb)

                def watch(alive: Collection[str] = ()) -> Survey:
                    quota.enforce()
                    return monitor.update(alive)

                stopped_by = run_workers(
                    launcher, study, plan_file, command, workers=workers, watch=watch, detach=detach
                )
        return monitor.finish(stopped_by, detached=detach)
    finally:
        end_tracker(tracker)


def refuse_missing_weights(prepared: Prepared) -> None:
    """Raise InputError where a model of the study has dimensions but no weights on this machine."""
    for model in prepared.study.models:
        for base in (model.encoder, model.llm):
            if base.directory is None:
                fetch = f", or the model from `hf download {base.hub_id}`, which needs network" if base.hub_id else ""
                raise InputError(
                    f"study {prepared.study.name!r}: {base.name} has no weights on this machine; expected a directory"
                    f" with weights{fetch}"
                )


def allow_diverged_retry(plan_file: PlanFile) -> None:
    """Let the study's nodes that diverged be tried again."""
    for key in plan_file.nodes:
        with suppress(InputError):  # the survey tells of damaged files
            attempt = plan_file.ledger.unfinished_attempt(key)
            if attempt and (failure := attempt.failure()) and failure.kind == "diverged":
                attempt.allow_retry()
