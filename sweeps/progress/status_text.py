"""How a study stands, as a document and as text for people."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from scaling.ledger.plan_file import PlanFile
from sweeps.progress.eta import Pace, eta_seconds, node_eta_seconds, pace_of
from sweeps.progress.status import NodeStatus, State, Survey
from sweeps.units import duration


def as_document(plan_file: PlanFile, found: Survey) -> dict[str, Any]:
    """What `status --json` prints."""
    pace = pace_of(plan_file, found)
    return {
        "schema": "asr-scaling/status-1",
        "study": plan_file.content["study"],
        "runs": {state.value: count for state, count in _counted(found.runs.values()).items()},
        "nodes": {state.value: count for state, count in _counted(n.state for n in found.nodes.values()).items()},
        "done_flops": found.done_flops,
        "remaining_flops": found.remaining_flops,
        "total_flops": found.total_flops,
        "eta_seconds": eta_seconds(plan_file, found, pace),
        "running": [_running(plan_file, key, found.nodes[key], pace) for key in found.in_state(State.RUNNING)],
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


def _running(plan_file: PlanFile, key: str, node: NodeStatus, pace: Pace) -> dict[str, Any]:
    """A node at work, with a run that needs it and its own time to go at its own speed; null where unknown.

    `evaluating` says which set is being decoded, and how many of its utterances are; null while the node trains.
    """
    run = next((run for run in plan_file.runs if key in run["nodes"]), {})
    decoding = node.headway.evaluation
    return {
        "node": key,
        "stage": plan_file.ledger.stage(key)["node"]["stage"]["name"],
        **{field: run.get(field) for field in ("strategy", "encoder", "llm", "seed")},
        "flops": node.flops,
        "total_flops": node.total_flops,
        "seconds": node.seconds,
        "evaluating": decoding and {"set": decoding.set, "done": decoding.done, "of": decoding.of},
        "eta_seconds": node_eta_seconds(plan_file, key, node, pace),
    }


def _counted(states: Iterable[State]) -> dict[State, int]:
    counts = Counter(states)
    return {state: counts[state] for state in State}


def _detail(node: dict[str, Any]) -> str:
    if "cause" in node:
        return str(node["cause"])
    eta = "" if node["eta_seconds"] is None else f", ETA {duration(node['eta_seconds'])}"
    decoding = node["evaluating"]
    eta += "" if decoding is None else f", decoding {decoding['set']} ({decoding['done']} of {decoding['of']})"
    return (
        f"{node['flops'] / node['total_flops']:4.0%} of {node['total_flops']:.2e} FLOPs{eta}  stage {node['stage']!r}"
        f" of {node['strategy']}, {node['encoder']} + {node['llm']}, seed {node['seed']}"
    )
