"""Runs -> unique nodes in the order in which workers should take them.

Runs and budgets share nodes by their keys alone. Nodes come parents first, then by the FLOPs that still hang on them,
longest chain first: with N workers the last chain to begin is then a short one.
"""

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from scaling.spec import RunSpec, Stage, StageNode

Cost = TypeVar("Cost", int, float)

TrunkPositions = Mapping[str, Mapping[int, str]]
"""Trunk -> FLOP position -> key of the node there."""


class PlannedNode(NamedTuple):
    """A node with its key and the key of its trunk, each computed once."""

    key: str
    trunk: str
    node: StageNode


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
    nodes: Mapping[str, PlannedNode]

    @property
    def charged_flops(self) -> int:
        """FLOPs charged to all runs, as if each were trained alone."""
        return sum(run.charged_flops for run in self.runs)

    @property
    def spent_flops(self) -> int:
        """FLOPs that are trained: shared nodes are counted once."""
        return sum(link.node.flops for link in self.nodes.values())


def plan_runs(runs: Iterable[RunSpec], elsewhere: TrunkPositions | None = None) -> Plan:
    """The plan of `runs`. `elsewhere` holds finished trunk positions of other studies, from where one may go on."""
    planned: dict[str, PlannedRun] = {}
    by_stage: dict[int, dict[str, PlannedNode]] = defaultdict(dict)
    for spec in runs:
        stages = nodes_by_stage(spec)
        for place, links in enumerate(stages):
            nodes = by_stage[place]
            for link in links:
                nodes.setdefault(link.key, link)
        keys = tuple([tuple([link.key for link in links]) for links in stages])
        run = PlannedRun(key=spec.key, spec=spec, stages=keys)
        planned.setdefault(run.key, run)
    parents_first: dict[str, PlannedNode] = {}
    for nodes in by_stage.values():
        parents_first |= _from_nearest(nodes, elsewhere or {})
    return Plan(runs=tuple(planned.values()), nodes=_longest_first(parents_first))


def nodes_by_stage(run: RunSpec) -> list[list[PlannedNode]]:
    """The nodes of a run, parents first: for each stage the end of its trunk, then of its cooldown.

    A trunk node starts at the beginning of its stage here; `plan_runs` moves its start to the nearest earlier position.
    """
    stages: list[list[PlannedNode]] = []
    for stage in run.strategy.stages:
        parent = stages[-1][-1].key if stages else None
        stages.append(_stage_links(run, stage, parent, final=len(stages) + 1 == len(run.strategy.stages)))
    return stages


def trunk_flops(stage: Stage, stage_flops: int) -> int:
    """Where the rate begins to fall in a stage of `stage_flops`."""
    return round((1 - stage.optimization.cooldown) * stage_flops)


def _stage_links(run: RunSpec, stage: Stage, parent: str | None, *, final: bool) -> list[PlannedNode]:
    end = stage.budget(run.budget_flops)
    turn = trunk_flops(stage, end)
    whole = StageNode(
        parent=parent,
        start=None,
        start_flops=0,
        model=run.model,
        stage=stage,
        data=run.data,
        seed=run.seed,
        precision=run.precision,
        until_flops=end,
        cooldown_from_flops=0 if turn == 0 else None,
        final=final,
    )
    if stage.optimization.cooldown == 0 or turn in (0, end):
        return [_link(whole)]
    trunk = _link(replace(whole, until_flops=turn, final=False))
    branch = replace(whole, start=trunk.key, start_flops=turn, cooldown_from_flops=turn)
    return [trunk, PlannedNode(key=branch.key_on(trunk.trunk), trunk=trunk.trunk, node=branch)]


def _link(node: StageNode) -> PlannedNode:
    trunk = node.trunk
    return PlannedNode(key=node.key_on(trunk), trunk=trunk, node=node)


def _from_nearest(nodes: Mapping[str, PlannedNode], elsewhere: TrunkPositions) -> dict[str, PlannedNode]:
    """Nodes of stages of one place, each trunk node after and from the nearest earlier position of its trunk."""
    trunks: dict[str, list[PlannedNode]] = defaultdict(list)
    branches: dict[str, PlannedNode] = {}
    for key, link in nodes.items():
        if link.node.cooldown_from_flops is None:
            trunks[link.trunk].append(link)
        else:
            branches[key] = link
    linked: dict[str, PlannedNode] = {}
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


def _longest_first(parents_first: dict[str, PlannedNode]) -> dict[str, PlannedNode]:
    flops_from = remaining_costs(needs_of(parents_first), {key: link.node.flops for key, link in parents_first.items()})
    order = sorted(sorted(parents_first), key=flops_from.__getitem__, reverse=True)  # of equals, by key
    return {key: parents_first[key] for key in order}


def needs_of(nodes: Mapping[str, PlannedNode]) -> dict[str, Sequence[str]]:
    """The nodes that each node needs."""
    return {key: link.node.needs for key, link in nodes.items()}


def remaining_costs(needs: Mapping[str, Sequence[str]], costs: Mapping[str, Cost]) -> dict[str, Cost]:
    """By node, the cost of the costliest chain from it. `needs` has parents first; what is not in `costs` is free."""
    after: dict[str, Cost] = {}
    costs_from: dict[str, Cost] = {}
    for key in reversed(list(needs)):
        costs_from[key] = cost = after.get(key, 0) + costs.get(key, 0)
        for need in needs[key]:
            if after.get(need, 0) < cost:
                after[need] = cost
    return costs_from
