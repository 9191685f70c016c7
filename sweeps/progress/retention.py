"""Free what no run needs any more: checkpoints by the rule of `sweeps.progress.keeping`, and what interrupted attempts left."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.ledger.freed_checkpoints import checkpoint_of, free, is_freed
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import node_of
from sweeps.progress.keeping import Use, kept, use_of
from sweeps.units import size

ABANDONED_SECONDS = 3600.0
"""A file written beside its place, to be moved there, that is so old never will be (assumption: writes are shorter)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What was freed, or would be: checkpoints of finished nodes, and leftovers of attempts that are over."""

    nodes: tuple[str, ...]
    node_bytes: int
    leftovers: int
    leftover_bytes: int
    kept_bytes: int


def collect_garbage(ledger: Ledger, *, dry_run: bool = False) -> Freed:
    """Free what the rule does not keep, for all studies of this ledger; safe while workers work.

    The result of every node stays. A node whose checkpoint was freed is trained again where a later study needs it.
    """
    if not (ledger.root / "stages").is_dir():
        raise InputError(f"{ledger.root}: no ledger here; expected the folder of a study or the root of its ledger")
    uses = _uses(ledger)
    done = {key for key in uses if ledger.done(key)}
    worth = kept(uses, done)
    sizes = {key: folder_bytes(place) for key in done if (place := checkpoint_of(ledger, key)) is not None}
    nodes = sorted(key for key in sizes if key not in worth and not is_freed(ledger, key))
    if not dry_run:
        nodes = free(ledger, nodes, lambda: _needed(ledger))
    leftovers = [(path, folder_bytes(path)) for key in uses for path in _leftovers(ledger, key)]
    if not dry_run:
        for path, _ in leftovers:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return Freed(
        nodes=tuple(nodes),
        node_bytes=sum(sizes[key] for key in nodes),
        leftovers=len(leftovers),
        leftover_bytes=sum(size for _, size in leftovers),
        kept_bytes=sum(size for key, size in sizes.items() if key not in nodes),
    )


def folder_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 for what is gone while it is looked at."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        return sum(folder_bytes(entry) for entry in path.iterdir())
    except FileNotFoundError:
        return 0


def freed_document(freed: Freed, *, dry_run: bool) -> dict[str, Any]:
    """What `gc --json` prints."""
    return {
        "schema": "asr-scaling/gc-1",
        "dry_run": dry_run,
        "checkpoints": list(freed.nodes),
        "checkpoint_bytes": freed.node_bytes,
        "leftovers": freed.leftovers,
        "leftover_bytes": freed.leftover_bytes,
        "kept_bytes": freed.kept_bytes,
    }


def freed_text(freed: Freed, *, dry_run: bool) -> str:
    """What `gc` prints for people."""
    return (
        f"{'would free' if dry_run else 'freed'} {len(freed.nodes)} checkpoints ({size(freed.node_bytes)}) and"
        f" {freed.leftovers} leftovers ({size(freed.leftover_bytes)}); {size(freed.kept_bytes)} of checkpoints stay"
    )


def _uses(ledger: Ledger) -> dict[str, Use]:
    uses = {}
    for folder in sorted((ledger.root / "stages").iterdir()):
        if (folder / "stage.json").exists():
            node = node_of(ledger, folder.name)
            uses[folder.name] = use_of(node, node.trunk)
    return uses


def _needed(ledger: Ledger) -> set[str]:
    """What unfinished nodes set out from, as the ledger is now."""
    return {need for key, use in _uses(ledger).items() if not ledger.done(key) for need in use.needs}


def _leftovers(ledger: Ledger, key: str) -> Iterator[Path]:
    """What attempts that are over left behind and nobody reads, and what was never moved to its place."""
    folder = ledger.folder(key)
    for path in (*folder.glob(".*"), *folder.glob("attempts/.*"), *folder.glob("attempts/*/.*")):
        if time.time() - path.lstat().st_mtime > ABANDONED_SECONDS:
            yield path
    attempts = ledger.attempts(key)
    result = ledger.result(key) if ledger.done(key) else None
    if result is None and attempts and attempts[-1].held():
        return
    states = [*folder.glob("attempts/*/checkpoint-*"), *folder.glob("attempts/*/final")]
    states.sort(key=lambda path: path.name)  # by steps, the final one last
    if result is None:
        kept = [path for path in states if (path / "progress.json").exists()][-1:]
    else:
        kept = [folder / f"attempts/{result['attempt']:04d}/final"]
    yield from (path for path in states if path not in kept)
