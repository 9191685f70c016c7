"""RunSpec -> the states of training it passes through, each a node that other runs may share."""

from typing import NamedTuple

from scaling.spec import RunSpec, Stage, StageNode


class Link(NamedTuple):
    """A node with its key and the key of its trunk, each computed once."""

    key: str
    trunk: str
    node: StageNode


def chain(run: RunSpec) -> list[list[Link]]:
    """The nodes of a run, parents first: for each stage the end of its trunk, then of its cooldown.

    A trunk node starts at the stage's beginning here; `sweeps.plan.plan` moves its start to the nearest earlier position.
    """
    stages: list[list[Link]] = []
    for stage in run.strategy.stages:
        parent = stages[-1][-1].key if stages else None
        stages.append(_stage_links(run, stage, parent, final=len(stages) + 1 == len(run.strategy.stages)))
    return stages


def trunk_flops(stage: Stage, stage_flops: int) -> int:
    """Where the rate begins to fall in a stage of `stage_flops`."""
    return round((1 - stage.optimization.cooldown) * stage_flops)


def _stage_links(run: RunSpec, stage: Stage, parent: str | None, *, final: bool) -> list[Link]:
    end = stage.budget(run.budget_flops)
    turn = trunk_flops(stage, end)
    if stage.optimization.cooldown == 0 or turn in (0, end):
        cooldown_from = 0 if turn == 0 else None
        return [_link(_node(run, stage, parent, None, 0, end, cooldown_from, final))]
    trunk = _link(_node(run, stage, parent, None, 0, turn, None, False))
    branch = _node(run, stage, parent, trunk.key, turn, end, turn, final)
    return [trunk, Link(key=branch.key_on(trunk.trunk), trunk=trunk.trunk, node=branch)]


def _node(
    run: RunSpec,
    stage: Stage,
    parent: str | None,
    start: str | None,
    start_flops: int,
    until_flops: int,
    cooldown_from_flops: int | None,
    final: bool,
) -> StageNode:
    return StageNode(
        parent=parent,
        start=start,
        start_flops=start_flops,
        model=run.model,
        stage=stage,
        data=run.data,
        seed=run.seed,
        precision=run.precision,
        until_flops=until_flops,
        cooldown_from_flops=cooldown_from_flops,
        final=final,
    )


def _link(node: StageNode) -> Link:
    trunk = node.trunk
    return Link(key=node.key_on(trunk), trunk=trunk, node=node)
