"""What is done, running, waiting, blocked and failed, from the ledger alone."""

import os
import stat
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from types import MappingProxyType
from typing import NamedTuple

from scaling.errors import InputError
from scaling.ledger.ledger import Attempt
from scaling.ledger.plan_file import PlanFile, WorkItem
from scaling.system.console import log_once
from sweeps.progress.attempt_progress import AttemptProgress, attempt_progress


class State(StrEnum):
    """Where a node or a run stands."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "waiting"
    BLOCKED = "blocked"
    FAILED = "failed"


LEAST_RESULT_BYTES = 100
"""The least size of a result, which has ten fields. A smaller file is read, so that its fault can be told."""

LOST = (State.FAILED, State.BLOCKED)
"""The states of nodes that this invocation will not train."""


class NodeStatus(NamedTuple):
    """Where a node stands. `flops` of `total_flops` are trained; `cause` says why it failed or what blocks it.

    A running node has been held for `seconds` by `worker`; `progress` says how far it is.
    """

    state: State
    flops: int
    total_flops: int
    seconds: float = 0.0
    cause: str | None = None
    worker: str | None = None
    progress: AttemptProgress = AttemptProgress()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Every node of a study, and its runs by state."""

    nodes: Mapping[str, NodeStatus]
    runs: Mapping[str, State]

    @cached_property
    def done_flops(self) -> int:
        """FLOPs trained, shared nodes counted once."""
        return sum(node.flops for node in self.nodes.values())

    @cached_property
    def total_flops(self) -> int:
        """FLOPs of all nodes."""
        return sum(node.total_flops for node in self.nodes.values())

    @property
    def lost_flops(self) -> int:
        """FLOPs that will not be trained, because a node failed."""
        lost = (self.nodes[key] for state in LOST for key in self.in_state(state))
        return sum(node.total_flops - node.flops for node in lost)

    @property
    def remaining_flops(self) -> int:
        """FLOPs still to train."""
        return self.total_flops - self.done_flops - self.lost_flops

    def in_state(self, state: State) -> list[str]:
        """Keys of the nodes in `state`."""
        return self._keys_by_state[state]

    @cached_property
    def _keys_by_state(self) -> dict[State, list[str]]:
        keys: dict[State, list[str]] = {state: [] for state in State}
        for key, node in self.nodes.items():
            keys[node.state].append(key)
        return keys

    @property
    def finished(self) -> bool:
        """Whether no node is running or waiting."""
        return not self.in_state(State.RUNNING) and not self.in_state(State.WAITING)

    @property
    def evaluating(self) -> list[str]:
        """Keys of the nodes of which a worker decodes dev or a test set."""
        return [key for key in self.in_state(State.RUNNING) if self.nodes[key].progress.decoding is not None]


def survey_study(
    plan_file: PlanFile,
    *,
    known: Mapping[str, NodeStatus] | None = None,
    damaged: Mapping[str, str] = MappingProxyType({}),
) -> Survey:
    """How a study stands. `known` holds the nodes of an earlier survey: those done then are not looked up again.

    Nodes whose files cannot be used have failed; their causes name the files. `damaged` are such nodes that are known
    already, and why.
    """
    nodes: dict[str, NodeStatus] = {}
    lost: set[str] = set()
    untried: set[str] = set()
    stages, all_work = f"{plan_file.ledger.root}/stages", plan_file.work
    for key in plan_file.nodes:  # parents first: a node that needs an untried node is untried, and is not looked up
        before, folder, work = known.get(key) if known else None, f"{stages}/{key}", all_work[key]
        if key in damaged:
            node = NodeStatus(State.FAILED, 0, work.flops, cause=damaged[key])
        elif before and before.state is State.DONE:
            node = before
        elif (result := _finished(plan_file, key, f"{folder}/result.json", work)) is not None:
            node = result
        elif untried.isdisjoint(work.needs) and os.access(f"{folder}/attempts", os.F_OK):
            node = _tried(plan_file, key, lost)
        else:
            node = _untouched(plan_file, key, lost) if untried.isdisjoint(work.needs) else _untried(work, lost)
            untried.add(key)
        if node.state in LOST:
            lost.add(key)
        nodes[key] = node
    return Survey(nodes=nodes, runs={run.key: _run(nodes, run.nodes) for run in plan_file.runs})


def ready(plan_file: PlanFile, survey: Survey) -> list[str]:
    """The nodes that wait only for a worker, because every node that they need is done."""
    done = set(survey.in_state(State.DONE))
    return [
        key
        for key in survey.in_state(State.WAITING)
        if all(need in done or plan_file.ledger.done(need) for need in plan_file.work[key].needs)
    ]


def _finished(plan_file: PlanFile, key: str, path: str, work: WorkItem) -> NodeStatus | None:
    """The state of a node that has a result at `path`, or None. A result is read only where it looks damaged."""
    try:
        file_status = os.lstat(path)
        if not (stat.S_ISREG(file_status.st_mode) and file_status.st_size >= LEAST_RESULT_BYTES):
            plan_file.ledger.result(key)
    except FileNotFoundError:
        return None
    except OSError as error:
        cause = plan_file.ledger.files.explanation(f"stages/{key}/result.json", stat.S_IFREG, error)
        return NodeStatus(State.FAILED, 0, work.flops, cause=str(cause))
    except InputError as error:
        return NodeStatus(State.FAILED, 0, work.flops, cause=str(error))
    return _done(work.flops)


def _tried(plan_file: PlanFile, key: str, lost: Set[str]) -> NodeStatus:
    """The state of a node that was attempted and has no result."""
    try:
        plan_file.ledger.result(key)  # a former one
        return _unfinished(plan_file, key, lost)
    except InputError as error:
        return NodeStatus(State.FAILED, 0, plan_file.work[key].flops, cause=str(error))


def _unfinished(plan_file: PlanFile, key: str, lost: Set[str]) -> NodeStatus:
    """The state of a node that was attempted and has no result. Raises InputError where its files cannot be used."""
    work, attempts = plan_file.work[key], plan_file.ledger.attempts(key)
    total = work.flops
    failure = attempts[-1].final_failure(plan_file.session) if attempts else None
    if failure is not None:
        return NodeStatus(State.FAILED, 0, total, cause=f"{failure.kind}: {failure.cause}")
    untried = _untried(work, lost)
    if untried.state is State.BLOCKED or not attempts:
        return untried
    progress = _progress(attempts[-1])
    is_trained = progress.decoding is not None and progress.decoding.final
    flops = total if is_trained else min(max(progress.flops - work.start_flops, 0), total)
    if attempts[-1].held():
        lease = attempts[-1].lease()
        worker = lease.worker if lease is not None else None
        return NodeStatus(State.RUNNING, flops, total, _seconds(attempts[-1]), worker=worker, progress=progress)
    return NodeStatus(State.WAITING, flops, total)


def _untouched(plan_file: PlanFile, key: str, lost: Set[str]) -> NodeStatus:
    """The state of a node without attempts, which has failed where its folder is something else."""
    work = plan_file.work[key]
    try:
        plan_file.ledger.files.refuse_other(f"stages/{key}")
    except InputError as error:
        return NodeStatus(State.FAILED, 0, work.flops, cause=str(error))
    return _untried(work, lost)


def _progress(attempt: Attempt) -> AttemptProgress:
    """How far an attempt is. Where its events cannot be read, on which no result depends, this is its beginning."""
    try:
        return attempt_progress(attempt.events, time.time())
    except InputError as error:
        log_once(f"progress unknown: {error}")
        return AttemptProgress()


def _untried(work: WorkItem, lost: Set[str]) -> NodeStatus:
    """The state of a node that was never attempted, where the nodes in `lost` will have no result."""
    for need in work.needs:
        if need in lost:
            return NodeStatus(State.BLOCKED, 0, work.flops, cause=f"needs {need}")
    return _waiting(work.flops)


@cache
def _done(flops: int) -> NodeStatus:
    """The state of a finished node of so many FLOPs. Thousands of nodes share a few counts, so it is cached."""
    return NodeStatus(State.DONE, flops, flops)


@cache
def _waiting(flops: int) -> NodeStatus:
    """The state of an untrained node of so many FLOPs."""
    return NodeStatus(State.WAITING, 0, flops)


def _run(nodes: Mapping[str, NodeStatus], keys: list[str]) -> State:
    """The state of a run, from those of its nodes."""
    states = {nodes[key].state for key in keys}
    if len(states) == 1:
        return states.pop()
    for state in (State.FAILED, State.BLOCKED, State.RUNNING):
        if state in states:
            return state
    return State.WAITING


def _seconds(attempt: Attempt) -> float:
    """Seconds since the attempt began."""
    try:
        return max(attempt.ledger.now() - (attempt.folder / "lease.json").stat().st_mtime, 0.0)
    except OSError:
        return 0.0
