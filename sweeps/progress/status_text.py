"""The state of a study as a document and as text for people, shown once or again and again."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from scaling.cost.amounts import duration
from scaling.errors import InputError
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.system.console import jsonable, one_line, readable, wrapped
from sweeps.progress.eta import Pace, eta_seconds, node_eta_seconds, pace_of
from sweeps.progress.hearing_status import DeafRun, HearingNow, deaf_runs, hearing_now
from sweeps.progress.status import NodeStatus, State, Survey, survey_study
from sweeps.progress.unusable import UnusableRun, unusable_runs

CLEAR = "\x1b[H\x1b[J"
"""Cursor to the upper left corner, and erase what follows (ECMA-48)."""

WATCH_SECONDS = 2.0
"""Seconds between looks, and at least ten times as long as a look takes: watching must not cost training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedSet:
    """A set that is being decoded: `done` of `of` utterances."""

    set: str
    done: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningNode:
    """A node at work, and a run that needs it.

    `seconds` have passed since its attempt began. `evaluating` is None while the node trains, `eta_seconds` where no
    speed is known, `hearing` where it was not measured in this stage yet.
    """

    node: str
    stage: str
    strategy: str | None
    encoder: str | None
    llm: str | None
    seed: int | None
    flops: int
    total_flops: int
    seconds: float
    evaluating: DecodedSet | None
    eta_seconds: float | None
    hearing: HearingNow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostNode:
    """A node that this invocation will not train, and why."""

    node: str
    cause: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """How a study stands. `runs` and `nodes` are counted by state; `eta_seconds` is None where it is not known.

    `unusable` are finished runs whose weights nobody can use.
    """

    study: str
    runs: dict[str, int]
    nodes: dict[str, int]
    done_flops: int
    remaining_flops: int
    total_flops: int
    eta_seconds: float | None
    running: list[RunningNode]
    failed: list[LostNode]
    blocked: list[LostNode]
    not_hearing: list[DeafRun]
    unusable: list[UnusableRun]

    def as_document(self) -> dict[str, object]:
        """What `status --json` prints."""
        return {"schema": "asr-scaling/status-1", **asdict(self)}


def study_status(plan_file: PlanFile, survey: Survey) -> StudyStatus:
    """How a study stands, from a survey of its nodes."""
    pace = pace_of(plan_file, survey)
    return StudyStatus(
        study=plan_file.study,
        runs=counts_by_state(survey.runs.values()),
        nodes={state.value: len(survey.in_state(state)) for state in State},
        done_flops=survey.done_flops,
        remaining_flops=survey.remaining_flops,
        total_flops=survey.total_flops,
        eta_seconds=eta_seconds(plan_file, survey, pace),
        running=[_running(plan_file, key, survey.nodes[key], pace) for key in survey.in_state(State.RUNNING)],
        failed=_lost(survey, State.FAILED),
        blocked=_lost(survey, State.BLOCKED),
        not_hearing=deaf_runs(plan_file),
        unusable=unusable_runs(plan_file, survey),
    )


def status_text(status: StudyStatus) -> str:
    """The state of a study for people."""
    eta = "" if status.eta_seconds is None else f", ETA {duration(status.eta_seconds)}"
    lines = [
        f"study {status.study}: runs: {counted_by_state(status.runs)}; stage nodes: {counted_by_state(status.nodes)}",
        f"{status.done_flops:.3e} of {status.total_flops:.3e} FLOPs ({status.done_flops / status.total_flops:.0%}),"
        f" {f'{status.remaining_flops:.3e}' if status.remaining_flops else 'nothing'} to go{eta}",
        *(line for node in status.running for line in _running_lines(node)),
        *(f"failed   {node.node}  {node.cause}" for node in status.failed),
        *(f"blocked  {node.node}  {node.cause}" for node in status.blocked),
        *(f"does not hear yet  {run.run}  {run.text()}" for run in status.not_hearing),
        *(f"unusable {run.run}  {run.cause}" for run in status.unusable),
    ]
    return "\n".join(map(one_line, lines))


def watch(folder: Path, *, as_json: bool) -> None:
    """Show the study until nothing is left to do, or Ctrl-C; in place on a terminal, as JSON a document a line."""
    known = None
    try:
        while True:
            began = time.monotonic()
            plan_file = read_plan_file(folder)  # each time: another invocation may have grown the study
            survey = survey_study(plan_file, known=known)
            known = survey.nodes
            status = study_status(plan_file, survey)
            clear = CLEAR if sys.stdout.isatty() and not as_json else ""
            text = readable(json.dumps(jsonable(status.as_document()))) if as_json else wrapped(status_text(status))
            sys.stdout.write(f"{clear}{text}\n")
            sys.stdout.flush()
            if survey.finished:
                return
            time.sleep(max(WATCH_SECONDS, 10 * (time.monotonic() - began)))
    except KeyboardInterrupt:
        return


def _running(plan_file: PlanFile, key: str, node: NodeStatus, pace: Pace) -> RunningNode:
    run = next((run for run in plan_file.runs if key in run.nodes), None)
    decoding = node.progress.decoding
    return RunningNode(
        node=key,
        stage=_stage_name(plan_file, key),
        strategy=run.strategy if run else None,
        encoder=run.encoder if run else None,
        llm=run.llm if run else None,
        seed=run.seed if run else None,
        flops=node.flops,
        total_flops=node.total_flops,
        seconds=node.seconds,
        evaluating=decoding and DecodedSet(set=decoding.set, done=decoding.done, of=decoding.of),
        eta_seconds=node_eta_seconds(plan_file, key, node, pace),
        hearing=hearing_now(node.progress.hearing),
    )


def _stage_name(plan_file: PlanFile, key: str) -> str:
    """The name of a node's stage; empty where its file is damaged, on which its worker will fail."""
    try:
        return plan_file.ledger.node(key).stage.name
    except InputError:
        return ""


def _lost(survey: Survey, state: State) -> list[LostNode]:
    return [LostNode(node=key, cause=survey.nodes[key].cause) for key in survey.in_state(state)]


def counts_by_state(states: Iterable[State]) -> dict[str, int]:
    """How many there are in each state."""
    counts = Counter(states)
    return {state.value: counts[state] for state in State}


def counted_by_state(counts: dict[str, int]) -> str:
    """The same in words."""
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"


def _running_lines(node: RunningNode) -> tuple[str, str]:
    """What a node is, and below it how far it is: each fits a line of 80 columns where names are short."""
    eta = "" if node.eta_seconds is None else f", ETA {duration(node.eta_seconds)}"
    decoded = node.evaluating
    decoding = "" if decoded is None else f", decoding {decoded.set} ({decoded.done} of {decoded.of})"
    hearing = "" if node.hearing is None else f", {node.hearing.text()}"
    return (
        f"running  {node.node}  {node.strategy}: {node.stage}, {node.encoder} + {node.llm}, seed {node.seed}",
        f"        {node.flops / node.total_flops:4.0%} of {node.total_flops:.2e} FLOPs{eta}{decoding}{hearing}",
    )
