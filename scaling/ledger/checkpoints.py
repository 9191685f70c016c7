"""Checkpoints of nodes: the one that an attempt goes on from, and those of finished nodes, which may be freed or lost.

    ROOT/stages/<key>/freed.json     the result stands, its checkpoint was freed because nothing started from it
    ROOT/stages/<key>/former.json    the result of a node that is trained again because its checkpoint is needed

A checkpoint is lost where a result names a folder that is not there. A node that is trained again keeps its former
result, with the place of the new checkpoint, so no table changes.
"""

import time
from collections.abc import Callable, Container, Iterable, Sequence

from scaling.ledger.ledger import FORMER_FILE, RESULT_FILE, Attempt, Ledger
from scaling.system.atomic_files import write_json_atomically
from scaling.system.console import log_once

COMPLETE = "progress.json"
"""The file that a checkpoint gets last: a folder without it is half-written."""


FINAL = "final"
"""The folder of the last checkpoint in an attempt's."""


def checkpoints_in(attempts: Iterable[Attempt]) -> list[str]:
    """The places of the checkpoints that our trainer wrote in these attempts, complete or not; links are left out."""
    return [
        f"{attempt.place}/{name}"
        for attempt in attempts
        for name in attempt.ledger.files.folders(attempt.place)
        if name == FINAL or name.startswith("checkpoint-")
    ]


def newest_complete(ledger: Ledger, checkpoints: Iterable[str]) -> str | None:
    """The complete checkpoint that an attempt continues: the final one, else that of most steps; None if there is none.

    Workers and `gc` must agree, so that what one reads the other keeps: of equal names the latest attempt's counts.
    """
    complete = [place for place in checkpoints if ledger.files.stands(f"{place}/{COMPLETE}")]
    return max(complete, key=lambda place: (place.rpartition("/")[2], place), default=None)


def is_freed(ledger: Ledger, key: str) -> bool:
    """Whether node `key` is done and its checkpoint freed."""
    return ledger.files.stands(_mark(key)) and ledger.done(key)


def is_lost(ledger: Ledger, key: str) -> bool:
    """Whether node `key` is done and its checkpoint is not where its result says, though nobody freed it."""
    checkpoint = checkpoint_of(ledger, key)
    return checkpoint is not None and not ledger.files.is_folder(checkpoint) and not is_freed(ledger, key)


def is_missing(ledger: Ledger, key: str) -> bool:
    """Whether node `key` is done and nothing can start from it, because its checkpoint was freed or is lost."""
    return is_freed(ledger, key) or is_lost(ledger, key)


def free(ledger: Ledger, keys: Sequence[str], needed: Callable[[], Container[str]]) -> list[str]:
    """Free the checkpoints of the finished nodes `keys`, except those that are still `needed`; return the freed keys.

    `needed` is called after all `keys` were marked as freed. Whoever enters a node into the ledger looks afterwards for
    marked nodes that it needs (`revive`), so one of the two sees the other without a lock.
    """
    marked = [key for key in keys if _marked(ledger, key)]
    still_needed = needed()
    freed = [key for key in marked if key not in still_needed]
    for key in marked:
        checkpoint = checkpoint_of(ledger, key)
        if key in still_needed:
            ledger.files.remove(_mark(key))
        elif checkpoint is not None:
            ledger.files.remove(checkpoint)
    return freed


def revive(ledger: Ledger, key: str) -> None:
    """Let a node whose checkpoint is missing be trained again: it is no longer done, and its former result is kept."""
    folder = ledger.folder(key)
    if is_missing(ledger, key):
        (folder / RESULT_FILE).replace(folder / FORMER_FILE)
    ledger.files.remove(_mark(key))


def checkpoint_of(ledger: Ledger, key: str) -> str | None:
    """The place of node `key`'s checkpoint by its result; None where the node is not done or was simulated."""
    result = ledger.result(key) if ledger.done(key) else None
    return f"stages/{key}/{result.checkpoint}" if result is not None and result.checkpoint else None


def _marked(ledger: Ledger, key: str) -> bool:
    """Mark a node as freed; False where that cannot be written, and its checkpoint stays."""
    try:
        write_json_atomically(ledger.root / _mark(key), {"time": time.time()})
    except OSError as error:
        log_once(f"left as it is: {ledger.root / _mark(key)}: cannot be written ({error.strerror})")
        return False
    return True


def _mark(key: str) -> str:
    return f"stages/{key}/freed.json"
