"""Runs -> unique nodes in the order in which workers should take them.

Runs and budgets share nodes by their keys alone. Nodes come parents first, then by the FLOPs that still hang on them,
longest chain first: with N workers the last chain to begin is then a short one.
"""

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from scaling.spec import RunSpec
from sweeps.plan.chain import Link, chain

Cost = TypeVar("Cost", int, float)

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
        return tuple(itertools.chain.from_iterable(self.stages))

    @property
    def end(self) -> str:
        """The key of the node that ends it."""
        return self.stages[-1][-1]

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
        return sum(link.node.flops for link in self.nodes.values())


def plan_runs(runs: Iterable[RunSpec], elsewhere: TrunkPositions | None = None) -> Plan:
    """The plan of `runs`. `elsewhere` holds finished trunk positions of other studies, from where one may go on."""
    planned: dict[str, PlannedRun] = {}
    by_stage: dict[int, dict[str, Link]] = defaultdict(dict)
    for spec in runs:
        stages = chain(spec)
        for place, links in enumerate(stages):
            nodes = by_stage[place]
            for link in links:
                nodes.setdefault(link.key, link)
        keys = tuple([tuple([link.key for link in links]) for links in stages])
        run = PlannedRun(key=spec.key, spec=spec, stages=keys)
        planned.setdefault(run.key, run)
    parents_first: dict[str, Link] = {}
    for nodes in by_stage.values():
        parents_first |= _from_nearest(nodes, elsewhere or {})
    return Plan(runs=tuple(planned.values()), nodes=_longest_first(parents_first))


def _from_nearest(nodes: Mapping[str, Link], elsewhere: TrunkPositions) -> dict[str, Link]:
    """Nodes of first stages, or of second ones: each trunk node starts at the nearest earlier position of its trunk.

    Nodes come after those that they start at.
    """
    trunks: dict[str, list[Link]] = defaultdict(list)
    branches: dict[str, Link] = {}
    for key, link in nodes.items():
        if link.node.cooldown_from_flops is None:
            trunks[link.trunk].append(link)
        else:
            branches[key] = link
    linked: dict[str, Link] = {}
    for trunk, links in trunks.items():
        reached = {**elsewhere.get(trunk, {}), **{link.node.until_flops: link.key for link in links}}
        positions = sorted(reached)
        for link in sorted(links, key=lambda link: link.node.until_flops):
            earlier = bisect_left(positions, link.node.until_flops)
            if earlier:
                start_flops = positions[earlier - 1]
                node = replace(link.node, start=reached[start_flops], start_flops=start_flops)
                link = link._replace(node=node)
            linked[link.key] = link
    return linked | branches


def _longest_first(parents_first: dict[str, Link]) -> dict[str, Link]:
    left = remaining(parents_first, {key: link.node.flops for key, link in parents_first.items()})
    order = sorted(sorted(parents_first), key=left.__getitem__, reverse=True)  # of equals, by key
    return {key: parents_first[key] for key in order}


def remaining(parents_first: Mapping[str, Link], costs: Mapping[str, Cost]) -> dict[str, Cost]:
    """Cost of the costliest chain that begins with each node, its own among it; a node without a cost has none."""
    after: dict[str, Cost] = {}
    found: dict[str, Cost] = {}
    for key in reversed(list(parents_first)):
        node = parents_first[key].node
        found[key] = cost = after.get(key, 0) + costs.get(key, 0)
        for need in (node.parent, node.start):
            if need is not None and after.get(need, 0) < cost:
                after[need] = cost
    return found
