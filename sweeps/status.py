"""What is done, running, waiting, blocked and failed, from the ledger alone."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from scaling.ledger import Attempt
from sweeps.orders import Orders
from sweeps.words import duration

TAIL_BYTES = 8192
"""Of an events file: holds the newest progress event, whatever else was logged after it."""


class State(StrEnum):
    """Where a node or a run stands."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "waiting"
    BLOCKED = "blocked"
    FAILED = "failed"


LOST = (State.FAILED, State.BLOCKED)
"""A node so will not be trained by this invocation."""


class NodeStatus(NamedTuple):
    """One node. `flops` of `total_flops` are trained; `cause` says why it failed or what blocks it."""

    state: State
    flops: int
    total_flops: int
    seconds: float = 0.0
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Every node of a study, and its runs by state."""

    nodes: Mapping[str, NodeStatus]
    runs: Mapping[str, State]

    @property
    def done_flops(self) -> int:
        """FLOPs trained, shared nodes counted once."""
        return sum(node.flops for node in self.nodes.values())

    @property
    def total_flops(self) -> int:
        """FLOPs of the study's bill."""
        return sum(node.total_flops for node in self.nodes.values())

    @property
    def lost_flops(self) -> int:
        """FLOPs that will not be trained, because a node failed."""
        return sum(node.total_flops - node.flops for node in self.nodes.values() if node.state in LOST)

    @property
    def remaining_flops(self) -> int:
        """FLOPs still to train."""
        return self.total_flops - self.done_flops - self.lost_flops

    def in_state(self, state: State) -> list[str]:
        """Keys of the nodes in `state`."""
        return [key for key, node in self.nodes.items() if node.state is state]

    @property
    def finished(self) -> bool:
        """Whether nothing is left that could be done."""
        return not any(node.state in (State.RUNNING, State.WAITING) for node in self.nodes.values())

    @property
    def eta_seconds(self) -> float | None:
        """Seconds of all workers now at work until nothing remains, at the rate of their nodes; None where unknown."""
        running = [node for node in self.nodes.values() if node.state is State.RUNNING and node.seconds > 0]
        rate = sum(node.flops / node.seconds for node in running)
        return self.remaining_flops / rate if rate else None


def survey(orders: Orders, *, known: Mapping[str, NodeStatus] | None = None) -> Survey:
    """How a study stands. `known` is an earlier survey's nodes: what was done then is not looked up again."""
    nodes: dict[str, NodeStatus] = {}
    lost: set[str] = set()
    untried: set[str] = set()
    stages, all_work = f"{orders.ledger.root}/stages", orders.work
    for key in orders.nodes:  # parents first: what needs a node never tried was never tried, and is not looked for
        before, folder, work = known.get(key) if known else None, f"{stages}/{key}", all_work[key]
        if before and before.state is State.DONE:
            node = before
        elif os.access(f"{folder}/result.json", os.F_OK):
            node = _done(work["flops"])
        elif untried.isdisjoint(work["needs"]) and os.access(f"{folder}/attempts", os.F_OK):
            node = _tried(orders, key, lost)
        else:
            node = _untried(work, lost)
            untried.add(key)
        if node.state in LOST:
            lost.add(key)
        nodes[key] = node
    return Survey(nodes=nodes, runs={run["key"]: _run(nodes, run["nodes"]) for run in orders.runs})


def _tried(orders: Orders, key: str, lost: Set[str]) -> NodeStatus:
    """The state of a node that was attempted and has no result."""
    work, attempts = orders.work[key], orders.ledger.attempts(key)
    total = work["flops"]
    failure = attempts[-1].verdict(orders.session) if attempts else None
    if failure is not None:
        return NodeStatus(State.FAILED, 0, total, cause=f"{failure['kind']}: {failure['cause']}")
    untried = _untried(work, lost)
    if untried.state is State.BLOCKED or not attempts:
        return untried
    flops = min(max(int(_progress(attempts[-1].events).get("flops", 0)) - work["start_flops"], 0), total)
    if attempts[-1].held():
        return NodeStatus(State.RUNNING, flops, total, _seconds(attempts[-1]))
    return NodeStatus(State.WAITING, flops, total)


def _untried(work: Mapping[str, Any], lost: Set[str]) -> NodeStatus:
    """The state of a node that was never attempted, where the nodes in `lost` will have no result."""
    for need in work["needs"]:
        if need in lost:
            return NodeStatus(State.BLOCKED, 0, work["flops"], cause=f"needs {need}")
    return _waiting(work["flops"])


@cache
def _done(flops: int) -> NodeStatus:
    """The state of nodes of so many FLOPs with a result; most of a study's thousands have as many as others."""
    return NodeStatus(State.DONE, flops, flops)


@cache
def _waiting(flops: int) -> NodeStatus:
    """The state of nodes of so many FLOPs that wait, untrained."""
    return NodeStatus(State.WAITING, 0, flops)


def _run(nodes: Mapping[str, NodeStatus], keys: list[str]) -> State:
    """A run is where the least of its nodes is."""
    states = {nodes[key].state for key in keys}
    if len(states) == 1:
        return states.pop()
    for state in (State.FAILED, State.BLOCKED, State.RUNNING):
        if state in states:
            return state
    return State.WAITING


def _progress(events: Path) -> dict[str, Any]:
    """The newest event of an attempt that says how far it is, or nothing."""
    try:
        with events.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return {}
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") in ("progress", "start"):
            return dict(event)
    return {}


def _seconds(attempt: Attempt) -> float:
    """Since the attempt began."""
    try:
        return max(time.time() - (attempt.folder / "lease.json").stat().st_mtime, 0.0)
    except FileNotFoundError:
        return 0.0


def as_document(orders: Orders, found: Survey) -> dict[str, Any]:
    """What `status --json` prints."""
    return {
        "schema": "asr-scaling/status-1",
        "study": orders.content["study"],
        "runs": {state.value: count for state, count in _counted(found.runs.values()).items()},
        "nodes": {state.value: count for state, count in _counted(n.state for n in found.nodes.values()).items()},
        "done_flops": found.done_flops,
        "remaining_flops": found.remaining_flops,
        "total_flops": found.total_flops,
        "eta_seconds": found.eta_seconds,
        "running": [_running(orders, key, found.nodes[key]) for key in found.in_state(State.RUNNING)],
        "failed": [{"node": key, "cause": found.nodes[key].cause} for key in found.in_state(State.FAILED)],
        "blocked": [{"node": key, "cause": found.nodes[key].cause} for key in found.in_state(State.BLOCKED)],
    }


def status_text(document: dict[str, Any]) -> str:
    """The state of a study for people."""

    def counted(kind: str) -> str:
        return ", ".join(f"{count} {state}" for state, count in document[kind].items() if count) or "none"

    total = document["total_flops"]
    eta = document["eta_seconds"]
    lines = [
        f"study {document['study']}: runs: {counted('runs')}; stage nodes: {counted('nodes')}",
        f"{document['done_flops']:.3e} of {total:.3e} FLOPs ({document['done_flops'] / total:.0%}),"
        f" {document['remaining_flops']:.3e} to go" + ("" if eta is None else f", ETA {duration(eta)}"),
    ]
    for kind in ("running", "failed", "blocked"):
        lines += [f"{kind:<9}{node['node']}  {_detail(node)}" for node in document[kind]]
    return "\n".join(lines)


def _running(orders: Orders, key: str, node: NodeStatus) -> dict[str, Any]:
    """A node at work, with a run that needs it and its own time to go at its own speed; null where unknown."""
    run = next((run for run in orders.runs if key in run["nodes"]), {})
    left = (node.total_flops - node.flops) * node.seconds / node.flops if node.flops else None
    return {
        "node": key,
        "stage": orders.ledger.stage(key)["node"]["stage"]["name"],
        **{field: run.get(field) for field in ("strategy", "encoder", "llm", "seed")},
        "flops": node.flops,
        "total_flops": node.total_flops,
        "seconds": node.seconds,
        "eta_seconds": left,
    }


def _counted(states: Any) -> dict[State, int]:
    counts = Counter(states)
    return {state: counts[state] for state in State}


def _detail(node: dict[str, Any]) -> str:
    if "cause" in node:
        return str(node["cause"])
    eta = "" if node["eta_seconds"] is None else f", ETA {duration(node['eta_seconds'])}"
    return (
        f"{node['flops'] / node['total_flops']:4.0%} of {node['total_flops']:.2e} FLOPs{eta}  stage {node['stage']!r}"
        f" of {node['strategy']}, {node['encoder']} + {node['llm']}, seed {node['seed']}"
    )
