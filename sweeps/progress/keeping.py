"""Which checkpoints are worth their disk: one rule for the plan's estimate, for `gc` and for a study's quota.

The checkpoint of a finished node is kept while an unfinished node sets out from it, where it ends a run, and where it
is the furthest of its trunk: from there a larger budget would go on. Everything else is freed.
"""

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from scaling.spec import StageNode


class Use(NamedTuple):
    """What the rule asks of a node. `trunk` is None for a cooldown: nothing goes on from its end on the same trunk."""

    needs: Sequence[str]
    final: bool
    trunk: str | None
    until_flops: int


def use_of(node: StageNode, trunk: str) -> Use:
    """What the rule asks of `node`, which lies on `trunk` or branches from it."""
    return Use(
        needs=node.needs,
        final=node.final,
        trunk=trunk if node.cooldown_from_flops is None else None,
        until_flops=node.until_flops,
    )


def kept(nodes: Mapping[str, Use], done: Container[str]) -> set[str]:
    """The finished nodes whose checkpoints are kept."""
    finished = {key: use for key, use in nodes.items() if key in done}
    needed = {need for key, use in nodes.items() if key not in done for need in use.needs}
    furthest: dict[str, str] = {}
    for key, use in finished.items():
        if use.trunk is not None and use.until_flops >= finished[furthest.setdefault(use.trunk, key)].until_flops:
            furthest[use.trunk] = key
    ends = set(furthest.values())
    return {key for key, use in finished.items() if use.final or key in needed or key in ends}
