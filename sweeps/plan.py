"""Runs -> unique nodes in the order in which workers should take them.

Runs and budgets share nodes by their keys alone. Nodes come parents first, then by the FLOPs that still hang on them,
longest chain first: with N workers the last chain to begin is then a short one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from scaling.spec import RunSpec
from sweeps.chain import Link, chain

TrunkPositions = Mapping[str, Mapping[int, str]]
"""Trunk -> FLOP position -> key of the node there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run and the keys of its nodes by stage, parents first; the last one ends it."""

    key: str
    spec: RunSpec
    stages: tuple[tuple[str, ...], ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The keys of all its nodes."""
        return tuple(key for stage in self.stages for key in stage)

    @property
    def charged_flops(self) -> int:
        """FLOPs charged to the run: the sum of its stages."""
        return sum(stage.budget(self.spec.budget_flops) for stage in self.spec.strategy.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every run, and every node once, in working order."""

    runs: tuple[PlannedRun, ...]
    nodes: Mapping[str, Link]

    @property
    def charged_flops(self) -> int:
        """FLOPs charged to all runs, as if each were trained alone."""
        return sum(run.charged_flops for run in self.runs)

    @property
    def spent_flops(self) -> int:
        """FLOPs of the study's bill: shared nodes counted once."""
        return sum(link.flops for link in self.nodes.values())


def plan_runs(runs: Iterable[RunSpec], elsewhere: TrunkPositions | None = None) -> Plan:
    """The plan of `runs`. `elsewhere` holds finished trunk positions of other studies, from where one may go on."""
    planned: dict[str, PlannedRun] = {}
    nodes: dict[str, Link] = {}
    for spec in runs:
        stages = chain(spec)
        for link in (link for links in stages for link in links):
            nodes.setdefault(link.key, link)
        keys = tuple(tuple(link.key for link in links) for links in stages)
        run = PlannedRun(key=spec.key, spec=spec, stages=keys)
        planned.setdefault(run.key, run)
    nodes = _from_nearest(nodes, elsewhere or {})
    return Plan(runs=tuple(planned.values()), nodes=_ordered(nodes))


def _from_nearest(nodes: Mapping[str, Link], elsewhere: TrunkPositions) -> dict[str, Link]:
    """Each trunk node starts at the nearest earlier position of its trunk."""
    trunks: dict[str, dict[int, str]] = defaultdict(dict)
    for link in nodes.values():
        if link.node.cooldown_from_flops is None:
            trunks[link.trunk].setdefault(link.node.until_flops, link.key)
    linked = dict(nodes)
    for trunk, positions in trunks.items():
        reached = {**elsewhere.get(trunk, {}), **positions}
        start, start_flops = None, 0
        for until in sorted(reached):
            if until in positions:
                link = nodes[positions[until]]
                node = replace(link.node, start=start, start_flops=start_flops)
                linked[link.key] = Link(key=link.key, trunk=trunk, node=node)
            start, start_flops = reached[until], until
    return linked


def _ordered(nodes: Mapping[str, Link]) -> dict[str, Link]:
    remaining = _remaining_flops(nodes)
    return {key: nodes[key] for key in sorted(nodes, key=lambda key: (-remaining[key], key))}


def _remaining_flops(nodes: Mapping[str, Link]) -> dict[str, int]:
    """FLOPs of the longest chain that begins with each node, its own among them."""
    needs = {key: [need for need in needed(link) if need in nodes] for key, link in nodes.items()}
    waiting_for = dict.fromkeys(nodes, 0)
    for needed_keys in needs.values():
        for key in needed_keys:
            waiting_for[key] += 1
    remaining = {key: link.flops for key, link in nodes.items()}
    leaves = [key for key, count in waiting_for.items() if count == 0]
    while leaves:
        leaf = leaves.pop()
        for key in needs[leaf]:
            remaining[key] = max(remaining[key], nodes[key].flops + remaining[leaf])
            waiting_for[key] -= 1
            if waiting_for[key] == 0:
                leaves.append(key)
    return remaining


def needed(link: Link) -> list[str]:
    """Keys of the nodes that must be done before this one: the end of the stage before, and where it starts."""
    return [key for key in (link.node.parent, link.node.start) if key is not None]
