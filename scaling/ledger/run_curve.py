"""The curve of a run from the events of its nodes: loss, dev CER and hearing over the FLOPs charged so far."""

from collections.abc import Iterator

from scaling.ledger.events import read_events
from scaling.ledger.plan_file import PlanFile
from scaling.ledger.records import Event, RunDescription

CUMULATIVE = ("flops", "executed_flops", "audio_seconds")
"""Fields that are summed over the stages of a run."""

POINT_FIELDS = ("loss", "rate_factor", "executed_flops", "audio_seconds")


def curve_points(plan_file: PlanFile, run: RunDescription) -> Iterator[dict[str, object]]:
    """Points of a run's curve by rising `flops`, as far as its nodes have come.

    FLOPs, executed FLOPs and audio are summed over the run's stages, so shared nodes appear in every run that passes
    through them. What an attempt trained after its last checkpoint, and the next attempt again, appears once.
    """
    before = dict.fromkeys(CUMULATIVE, 0.0)
    for stage in run.stages:
        for key in _nodes_to(plan_file, stage.node):
            for event in _events(plan_file, key):
                yield _point(event, before, stage.name)
            if not plan_file.ledger.done(key):
                return
        result = plan_file.ledger.result(stage.node)
        if result is None:
            return
        before = {field: before[field] + getattr(result, field) for field in CUMULATIVE}
        if result.test is not None and result.dev is not None:
            errors, ref_chars = (sum(getattr(s, f) for s in result.test.values()) for f in ("errors", "ref_chars"))
            yield {"flops": before["flops"], "dev_cer": result.dev.cer, "cer": errors / ref_chars}


def _nodes_to(plan_file: PlanFile, end: str) -> list[str]:
    """The nodes that lead through a stage to its end: trunk positions in order, then the cooldown."""
    nodes = [end]
    while (start := plan_file.ledger.node(nodes[0]).start) is not None:
        nodes.insert(0, start)
    return nodes


def _events(plan_file: PlanFile, key: str) -> list[Event]:
    """What was measured in a node, by rising FLOPs: a later attempt replaces what it trains again."""
    valid: list[Event] = []
    for attempt in plan_file.ledger.attempts(key):
        for event in read_events(attempt.events):
            if event.event == "start":
                valid = [earlier for earlier in valid if earlier.flops <= event.flops]
            elif event.event in ("progress", "dev", "hearing"):
                valid.append(event)
    return valid


def _point(event: Event, before: dict[str, float], stage: str) -> dict[str, object]:
    point: dict[str, object] = {"flops": before["flops"] + event.flops, "stage": stage}
    if event.event == "dev":
        return {**point, "dev_cer": event.cer}
    if event.event == "hearing":
        return point | ({} if event.hearing is None else event.hearing.columns())
    values = {field: getattr(event, field) for field in POINT_FIELDS}
    return point | {field: value + before.get(field, 0.0) for field, value in values.items() if value is not None}
