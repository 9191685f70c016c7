"""Which checkpoints are kept: one rule for the plan's estimate of disk, for `gc`, and for a study's quota.

The checkpoint of a finished node is kept while an unfinished node starts from it, where it ends a run, and where it is
the furthest of its trunk: a larger budget would go on from there. All other checkpoints are freed.
"""

import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from scaling.cost.amounts import size
from scaling.errors import InputError
from scaling.ledger.checkpoints import FINAL, checkpoint_of, checkpoints_in, free, is_missing, newest_complete
from scaling.ledger.lease import STILL_SECONDS
from scaling.ledger.ledger import Ledger
from scaling.spec import StageNode
from scaling.system.console import log, log_once

ABANDONED_SECONDS = 3600.0
"""A file beside its place that is older than this will never be moved there (assumption: writes are shorter)."""

QUOTA_SECONDS = 5.0
"""Seconds between measurements of the disk, and at least twenty times as long as one takes: many files are slow."""


class CheckpointUse(NamedTuple):
    """What the rule asks about a node. `trunk` is None for a cooldown: nothing goes on from its end."""

    needs: Sequence[str]
    final: bool
    trunk: str | None
    until_flops: int


def use_of(node: StageNode, trunk: str) -> CheckpointUse:
    """What the rule asks of `node`, which lies on `trunk` or branches from it."""
    return CheckpointUse(
        needs=node.needs,
        final=node.final,
        trunk=trunk if node.cooldown_from_flops is None else None,
        until_flops=node.until_flops,
    )


def retained(nodes: Mapping[str, CheckpointUse], done: Container[str]) -> set[str]:
    """The finished nodes whose checkpoints are kept."""
    finished = {key: use for key, use in nodes.items() if key in done}
    needed = {need for key, use in nodes.items() if key not in done for need in use.needs}
    furthest: dict[str, str] = {}
    for key, use in finished.items():
        if use.trunk is not None and use.until_flops >= finished[furthest.setdefault(use.trunk, key)].until_flops:
            furthest[use.trunk] = key
    ends = set(furthest.values())
    return {key for key, use in finished.items() if use.final or key in needed or key in ends}


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What was freed, or would be: checkpoints of finished nodes, and leftovers of attempts that are over."""

    nodes: tuple[str, ...]
    node_bytes: int
    leftovers: int
    leftover_bytes: int
    kept_bytes: int

    def as_document(self, *, dry_run: bool) -> dict[str, object]:
        """What `gc --json` prints."""
        return {
            "schema": "asr-scaling/gc-1",
            "dry_run": dry_run,
            "checkpoints": list(self.nodes),
            "checkpoint_bytes": self.node_bytes,
            "leftovers": self.leftovers,
            "leftover_bytes": self.leftover_bytes,
            "kept_bytes": self.kept_bytes,
        }

    def text(self, *, dry_run: bool) -> str:
        """What `gc` prints for people."""
        return (
            f"{'would free' if dry_run else 'freed'} {len(self.nodes)} checkpoints ({size(self.node_bytes)}) and"
            f" {self.leftovers} leftovers ({size(self.leftover_bytes)}); {size(self.kept_bytes)} of checkpoints stay"
        )


def collect_garbage(ledger: Ledger, *, dry_run: bool = False, patient: bool = False) -> Freed:
    """Free what the rule does not keep, for all studies of this ledger; safe while workers work.

    The result of every node stays. A node whose checkpoint was freed is trained again where a later study needs it.
    Files of a silent worker are freed only once it was seen silent for `STILL_SECONDS`; `patient` waits for that.
    """
    if not ledger.files.stands("stages"):
        raise InputError(f"{ledger.root}: no ledger here; expected the folder of a study or the root of its ledger")
    uses, done = _uses(ledger)
    kept = retained(uses, done)
    places = {key: place for key in done if (place := checkpoint_of(ledger, key)) is not None}
    sizes = {key: ledger.files.bytes_of(place) for key, place in places.items()}
    nodes = sorted(key for key in sizes if key not in kept and not is_missing(ledger, key))
    if not dry_run:
        nodes = free(ledger, nodes, lambda: _needed(ledger))
        if patient:
            _watch_silent(ledger, [key for key in uses if key not in done])
    leftovers = [size for key in uses for size in _clear(ledger, key, dry_run=dry_run)]
    return Freed(
        nodes=tuple(nodes),
        node_bytes=sum(sizes[key] for key in nodes),
        leftovers=len(leftovers),
        leftover_bytes=sum(leftovers),
        kept_bytes=sum(size for key, size in sizes.items() if key not in nodes),
    )


@dataclass(slots=True)
class Quota:
    """The most bytes, in units of 10^9, that the stages of a ledger may take; None: any number."""

    ledger: Ledger
    gigabytes: float | None
    next_look: float = 0.0

    def enforce(self) -> None:
        """Over the quota, free what the rule frees; raise InputError where that is not enough. May be called often."""
        began = time.monotonic()
        if self.gigabytes is None or began < self.next_look:
            return
        if self.ledger.files.bytes_of("stages") > 1e9 * self.gigabytes:
            freed = collect_garbage(self.ledger)
            log(f"disk quota: freed {len(freed.nodes)} checkpoints and {freed.leftovers} leftovers")
            if (used := self.ledger.files.bytes_of("stages")) > 1e9 * self.gigabytes:
                raise InputError(
                    f"{self.ledger.root}/stages: {used / 1e9:.3g} GB, all of it needed, is over"
                    f" disk_quota_gb: {self.gigabytes:g}; what was trained is kept: raise the quota"
                    " (`--set disk_quota_gb=N`) and run the same command again"
                )
        self.next_look = time.monotonic() + max(QUOTA_SECONDS, 20 * (time.monotonic() - began))


def _uses(ledger: Ledger) -> tuple[dict[str, CheckpointUse], set[str]]:
    """What the rule asks of each node whose stage.json can be read, and those that have a result that can be read."""
    uses, done = {}, set()
    for key in ledger.files.folders("stages"):
        with _left_alone():
            if ledger.files.stands(f"stages/{key}/stage.json"):
                node = ledger.node(key)
                uses[key] = use_of(node, node.trunk)
                if ledger.result(key) is not None and ledger.done(key):
                    done.add(key)
    return uses, done


@contextmanager
def _left_alone() -> Iterator[None]:
    """Within this context a damaged file of a node is told, and the node is left as it is."""
    try:
        yield
    except InputError as error:
        log_once(f"left as it is: {error}")


def _needed(ledger: Ledger) -> set[str]:
    """The nodes that unfinished nodes start from, as the ledger is now."""
    uses, done = _uses(ledger)
    return {need for key, use in uses.items() if key not in done for need in use.needs}


def _watch_silent(ledger: Ledger, keys: Iterable[str]) -> None:
    """Watch the workers that seem silent for `STILL_SECONDS`, after which the silent ones are known."""
    silent = [key for key in keys if _seems_silent(ledger, key)]
    if silent:
        log(f"watching {len(silent)} workers that seem silent for {STILL_SECONDS:g} s")
        time.sleep(STILL_SECONDS)


def _seems_silent(ledger: Ledger, key: str) -> bool:
    """Whether the last worker at node `key` may be silent; to ask begins the watch of its heartbeat."""
    with _left_alone():
        attempts = ledger.attempts(key)
        return bool(attempts) and not attempts[-1].held() and not attempts[-1].over()
    return False


def _clear(ledger: Ledger, key: str, *, dry_run: bool) -> list[int]:
    """Free the leftovers of node `key`; the bytes of each."""
    sizes: list[int] = []
    with _left_alone(), _settled(ledger, key, dry_run=dry_run) as checkpoints:
        in_use = checkpoint_of(ledger, key) if ledger.done(key) else newest_complete(ledger, checkpoints)
        for place in (*_torn(ledger, key), *(place for place in checkpoints if place != in_use)):
            sizes.append(ledger.files.bytes_of(place))
            if not dry_run:
                ledger.files.remove(place)
    return sizes


@contextmanager
def _settled(ledger: Ledger, key: str, *, dry_run: bool) -> Iterator[list[str]]:
    """Yields the checkpoints of node `key` that no process writes, and of which none but the newest is read.

    A silent worker may wake up: its node is taken over, as another worker would, so that it can commit nothing; what it
    may be about to commit stays all the same.
    """
    attempts = ledger.attempts(key)
    checkpoints = checkpoints_in(attempts)
    if ledger.done(key) or not attempts or attempts[-1].abandoned():
        yield checkpoints
        return
    periodic = [place for place in checkpoints if not place.endswith(f"/{FINAL}")]
    worthwhile = len(periodic) > 1 or newest_complete(ledger, periodic) is None
    fence = ledger.claim(key, session="gc") if periodic and worthwhile and not dry_run else None
    try:
        yield periodic if fence is not None else []
    finally:
        if fence is not None:
            fence.release()


def _torn(ledger: Ledger, key: str) -> Iterator[str]:
    """Files beside their places that were never moved there, old by the clock that stamped them."""
    folders = [f"stages/{key}", f"stages/{key}/attempts", *(attempt.place for attempt in ledger.attempts(key))]
    for folder in folders:
        for name in ledger.files.entries(folder):
            if name.startswith(".") and ledger.files.age(f"{folder}/{name}", ledger.now()) > ABANDONED_SECONDS:
                yield f"{folder}/{name}"
