"""The curve of a run from the events of its nodes: loss and dev CER over the FLOPs charged to the run so far."""

from collections.abc import Iterator
from typing import Any

from scaling.ledger.ledger import read_events
from scaling.ledger.plan_file import PlanFile
from scaling.ledger.records import Row, node_result

POINT_FIELDS = ("loss", "rate_factor", "executed_flops", "audio_seconds")


def history(plan_file: PlanFile, run: Row) -> Iterator[dict[str, Any]]:
    """Points of a run's curve by rising `flops`, as far as its nodes have come.

    FLOPs, executed FLOPs and audio are summed over the run's stages, so shared nodes appear in every run that passes
    through them. What one attempt trained after its last checkpoint, and the next one again, appears once.
    """
    before = dict.fromkeys(("flops", "executed_flops", "audio_seconds"), 0.0)
    for stage in run["stages"]:
        for key in _way_to(plan_file, stage["node"]):
            for event in _events(plan_file, key):
                yield _point(event, before, stage["name"])
            if not plan_file.ledger.done(key):
                return
        end = node_result(plan_file.ledger, stage["node"]) or {}
        before = {field: before[field] + end[field] for field in before}
        if end["test"] is not None:
            errors, ref_chars = (sum(test[field] for test in end["test"].values()) for field in ("errors", "ref_chars"))
            yield {"flops": before["flops"], "dev_cer": end["dev"]["cer"], "cer": errors / ref_chars}


def _way_to(plan_file: PlanFile, end: str) -> list[str]:
    """The nodes that lead through a stage to its end: trunk positions in order, then the cooldown."""
    way = [end]
    while (start := plan_file.ledger.stage(way[0])["node"]["start"]) is not None:
        way.insert(0, start)
    return way


def _events(plan_file: PlanFile, key: str) -> list[Row]:
    """What was measured in a node, by rising FLOPs: a later attempt replaces what it trains again."""
    kept: list[Row] = []
    for attempt in plan_file.ledger.attempts(key):
        for event in read_events(attempt.events):
            if event.get("event") == "start":
                kept = [earlier for earlier in kept if earlier["flops"] <= event["flops"]]
            elif event.get("event") in ("progress", "dev"):
                kept.append(event)
    return kept


def _point(event: Row, before: dict[str, float], stage: str) -> dict[str, Any]:
    point = {"flops": before["flops"] + event["flops"], "stage": stage}
    if event["event"] == "dev":
        return {**point, "dev_cer": event["cer"]}
    for field in POINT_FIELDS:
        if event.get(field) is not None:
            point[field] = event[field] + before.get(field, 0.0)
    return point
