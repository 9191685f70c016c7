"""Checkpoints of nodes: the one that an attempt goes on from, and those of finished nodes, which may be freed or lost.

    ROOT/stages/<key>/freed.json     the result stands, its checkpoint was freed because nothing started from it
    ROOT/stages/<key>/former.json    the result of a node that is trained again because its checkpoint is needed

A checkpoint is lost where a result names a folder that is not there. A node that is trained again keeps its former
result, with the place of the new checkpoint, so no table changes.
"""

import shutil
import time
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path

from scaling.ledger.ledger import Ledger
from scaling.system.atomic_files import write_json_atomically

COMPLETE = "progress.json"
"""The file that a checkpoint gets last: a folder without it is half-written."""


def newest_complete(checkpoints: Iterable[Path]) -> Path | None:
    """Of these checkpoints of one node the complete one that an attempt goes on from: the final one, else most steps.

    Workers and `gc` must agree, so that what one reads the other keeps: of equal names the latest attempt's counts.
    """
    complete = [folder for folder in checkpoints if (folder / COMPLETE).exists()]
    return max(complete, key=lambda folder: (folder.name, folder.parent.name), default=None)


def is_freed(ledger: Ledger, key: str) -> bool:
    """Whether node `key` is done and its checkpoint freed."""
    return _mark(ledger, key).exists() and ledger.done(key)


def is_lost(ledger: Ledger, key: str) -> bool:
    """Whether node `key` is done and its checkpoint is not where its result says, though nobody freed it."""
    checkpoint = checkpoint_of(ledger, key)
    return checkpoint is not None and not checkpoint.is_dir() and not is_freed(ledger, key)


def is_missing(ledger: Ledger, key: str) -> bool:
    """Whether node `key` is done and nothing can start from it, because its checkpoint was freed or is lost."""
    return is_freed(ledger, key) or is_lost(ledger, key)


def free(ledger: Ledger, keys: Sequence[str], needed: Callable[[], Container[str]]) -> list[str]:
    """Free the checkpoints of the finished nodes `keys`, except those that are still `needed`; return the freed keys.

    `needed` is called after all `keys` were marked as freed. Whoever enters a node into the ledger looks afterwards for
    marked nodes that it needs (`revive`), so one of the two sees the other without a lock.
    """
    for key in keys:
        write_json_atomically(_mark(ledger, key), {"time": time.time()})
    still_needed = needed()
    freed = [key for key in keys if key not in still_needed]
    for key in keys:
        checkpoint = checkpoint_of(ledger, key)
        if key in still_needed:
            _mark(ledger, key).unlink(missing_ok=True)
        elif checkpoint is not None:
            shutil.rmtree(checkpoint, ignore_errors=True)
    return freed


def revive(ledger: Ledger, key: str) -> None:
    """Let a node whose checkpoint is missing be trained again: it is no longer done, and its former result is kept."""
    folder = ledger.folder(key)
    if is_missing(ledger, key):
        (folder / "result.json").replace(folder / "former.json")
    _mark(ledger, key).unlink(missing_ok=True)


def checkpoint_of(ledger: Ledger, key: str) -> Path | None:
    """Where the checkpoint of node `key` lies by its result; None where the node is not done or was simulated."""
    result = ledger.result(key) if ledger.done(key) else None
    return ledger.folder(key) / result.checkpoint if result is not None and result.checkpoint else None


def _mark(ledger: Ledger, key: str) -> Path:
    return ledger.folder(key) / "freed.json"
