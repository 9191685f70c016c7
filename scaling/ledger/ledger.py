"""Stages on disk: who works on a node, and what came of it.

    ROOT/stages/<key>/stage.json             what to train; written once, never changed
    ROOT/stages/<key>/attempts/<n>/          one try: lease.json, heartbeat, events.jsonl, checkpoints, failure.json
    ROOT/stages/<key>/result.json            exists = the node is done; names the attempt that holds its checkpoint

An attempt is claimed by moving its folder, with the lease in it, to the next number: a file system lets one process do
so. `scaling.ledger.lease` says when a lease is over. A worker whose lease was taken over can still write into its own
folder and nowhere else: `commit` refuses its result (fencing), and links `result.json` into place without replacing a
file, so a node has exactly one result whatever dies when.

The `kind` of a failure says who may try again: after `error` the next invocation; after `diverged` nobody until it is
allowed, because the same steps would diverge again; after `memory` anybody, in smaller pieces.
"""

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from pydantic import ValidationError

from scaling.errors import InputError
from scaling.ledger.lease import Lease, is_gone, is_recent, killed_for_memory, new_lease, stands_still
from scaling.ledger.records import Event, Failure, NodeResult
from scaling.spec import StageNode, node_from_json
from scaling.system.atomic_files import temporary_beside, write_all, write_json_atomically, write_json_once
from scaling.system.fault_injection import crash_point
from scaling.system.file_clock import file_time
from scaling.system.json_files import parse_record, read_bytes, read_json

SCHEMA = "asr-scaling/ledger-1"


class LostLease(Exception):
    """Another worker has taken over the node: this worker must not commit its result."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The stages under one root folder, shared by any number of studies and workers.

    With `durable`, a file counts as written only when it is on the disk, because results must survive a power cut.
    """

    root: Path
    durable: bool = True

    def folder(self, key: str) -> Path:
        """The folder of node `key`."""
        return self.root / "stages" / key

    def now(self) -> float:
        """The time by the clock that stamps the ledger's files."""
        return file_time(self.root)

    def add(self, key: str, stage: Mapping[str, object]) -> bool:
        """Write `stage.json` of node `key` with the fields of `stage`, unless it exists; whether it was written."""
        path = self.folder(key) / "stage.json"
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_json_once(path, {"schema": SCHEMA, "key": key, **stage}, durable=self.durable)

    def stage(self, key: str) -> dict[str, Any]:
        """The content of `stage.json` of node `key`. Raises InputError where the file is missing or torn."""
        return read_json(self.folder(key) / "stage.json")

    def node(self, key: str) -> StageNode:
        """What node `key` trains. Raises InputError where the ledger holds no such node of this version."""
        try:
            return node_from_json(self.stage(key)["node"])
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            place = self.folder(key) / "stage.json"
            raise InputError(f"{place}: not a stage of this version ({type(error).__name__}: {error})") from None

    def result(self, key: str) -> NodeResult | None:
        """What came of node `key`, or None where it was never done. A node that is trained again has its former result.

        Raises InputError where the file holds no result.
        """
        for name in ("result.json", "former.json"):
            if (path := self.folder(key) / name).exists():
                return parse_record(NodeResult, read_bytes(path), str(path))
        return None

    def done(self, key: str) -> bool:
        """Whether node `key` has a committed result."""
        return (self.folder(key) / "result.json").exists()

    def attempts(self, key: str) -> list["Attempt"]:
        """All attempts at node `key`, oldest first."""
        folder = self.folder(key) / "attempts"
        numbers = sorted(int(path.name) for path in folder.glob("[0-9]*")) if folder.is_dir() else []
        return [Attempt(ledger=self, key=key, number=number) for number in numbers]

    def claim(self, key: str, *, session: str) -> "Attempt | None":
        """Start the next attempt at node `key`; None where it is done, held by a live worker, or just taken.

        `session` names the invocation that the worker belongs to. A failure records it, so that a later invocation may
        try again.
        """
        if self.done(key):
            return None
        attempts = self.attempts(key)
        if attempts and not attempts[-1].over():
            return None
        attempt = Attempt(ledger=self, key=key, number=attempts[-1].number + 1 if attempts else 1)
        if not attempt.begin(session):
            return None
        if attempts:
            attempts[-1].record_memory_kill(session)
        if self.done(key):  # the attempt before committed after the first look
            attempt.release()
            return None
        return attempt

    def memory_failures(self, key: str) -> int:
        """How many attempts at node `key` ran out of memory."""
        failures = (attempt.failure() for attempt in self.attempts(key))
        return sum(failure is not None and failure.kind == "memory" for failure in failures)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to train one node, in a folder of its own."""

    ledger: Ledger
    key: str
    number: int

    @property
    def folder(self) -> Path:
        """The folder in which this attempt, and no other, writes."""
        return self.ledger.folder(self.key) / "attempts" / f"{self.number:04d}"

    @property
    def events(self) -> Path:
        """The file of this attempt's events, one JSON object a line."""
        return self.folder / "events.jsonl"

    @property
    def heartbeat(self) -> Path:
        """The file that the worker touches as long as it lives."""
        return self.folder / "heartbeat"

    def begin(self, session: str) -> bool:
        """Claim this attempt with its lease and heartbeat in one step; False where another process was faster."""
        self.folder.parent.mkdir(exist_ok=True)
        prepared = temporary_beside(self.folder)
        prepared.mkdir()
        try:
            crash_point("claim: folder made")
            (prepared / "lease.json").write_text(json.dumps(new_lease(session).as_json()) + "\n")
            (prepared / "heartbeat").touch()
            crash_point("claim: lease written")
            prepared.rename(self.folder)  # refused where the folder is there: no attempt's folder is ever empty
        except OSError as error:
            shutil.rmtree(prepared, ignore_errors=True)
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        crash_point("claim: attempt begun")
        return True

    def beat(self) -> None:
        """Touch the heartbeat: the worker lives."""
        self.heartbeat.touch()

    def held(self) -> bool:
        """Whether a live worker seems to hold this attempt, judged by one look."""
        return not self.abandoned() and is_recent(self.heartbeat, self.ledger.now())

    def abandoned(self) -> bool:
        """Whether this attempt has ended, or its process is known to be gone: nobody writes into its folder again."""
        lease = self.lease()
        return self.ended() or (lease is not None and is_gone(lease))

    def over(self) -> bool:
        """Whether another attempt may begin. Repeated calls observe a worker whose heartbeat is old (`lease`)."""
        return self.abandoned() or (not is_recent(self.heartbeat, self.ledger.now()) and stands_still(self.heartbeat))

    def record_memory_kill(self, session: str) -> None:
        """Where the kernel killed the worker for memory, record that failure: the next attempt needs less."""
        lease = self.lease()
        if not self.ended() and lease is not None and killed_for_memory(lease):
            self.fail("memory", "its process was killed by the kernel: out of memory", session=session)

    def lease(self) -> Lease | None:
        """Who holds, or held, this attempt; None where a power cut left no readable lease."""
        path = self.folder / "lease.json"
        with suppress(InputError):
            return parse_record(Lease, read_bytes(path), str(path))
        return None

    def failure(self) -> Failure | None:
        """Why this attempt failed; None where it did not."""
        path = self.folder / "failure.json"
        return parse_record(Failure, read_bytes(path), str(path)) if path.exists() else None

    def fail(self, kind: Literal["error", "diverged", "memory"], cause: str, *, session: str) -> None:
        """Record that this attempt ended without a result, and why."""
        failure = Failure(kind=kind, cause=cause, session=session)
        write_json_atomically(self.folder / "failure.json", failure.as_json())

    def final_failure(self, session: str) -> Failure | None:
        """The failure that forbids `session` to try this node again, if there is one."""
        failure = self.failure()
        if failure is None or failure.kind == "memory":
            return None
        if failure.kind == "diverged":
            return None if (self.folder / "forgiven.json").exists() else failure
        return failure if failure.session == session else None

    def allow_retry(self) -> None:
        """Let a diverged node be tried again, which helps where the software has changed."""
        write_json_atomically(self.folder / "forgiven.json", {"time": time.time()})

    def ended(self) -> bool:
        """Whether this attempt was recorded as failed or released, by its worker or its launcher."""
        return self.failure() is not None or (self.folder / "released.json").exists()

    def release(self) -> None:
        """Give the node up without a result or a failure: another worker may go on from its checkpoint at once."""
        write_json_atomically(self.folder / "released.json", {"time": time.time()})

    def log(self, event: Event) -> None:
        """Append one event. Only this attempt writes the file; a line torn by a kill is skipped by readers."""
        content = {"time": round(time.time(), 3), **event.as_json()}
        line = json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
        with cast(BinaryIO, self.events.open("ab+", buffering=0)) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            torn = file.read(1) not in (b"", b"\n")  # a full disk cut the line before short
            write_all(file, b"\n" * torn + line.encode(), self.events.name)

    def check_lease(self) -> None:
        """Raise LostLease where a newer attempt exists or the node is done."""
        if self.ledger.done(self.key) or self.ledger.attempts(self.key)[-1].number != self.number:
            raise LostLease(f"node {self.key}: attempt {self.number} was taken over")

    def commit(self, result: NodeResult) -> None:
        """Make `result` the node's one result.

        Raises LostLease where this attempt no longer holds the node, and InputError where the result names a checkpoint
        that is not there: nothing could start from it.
        """
        self.check_lease()
        folder = self.ledger.folder(self.key)
        if result.checkpoint is not None and not (folder / result.checkpoint).is_dir():
            raise InputError(f"{folder / result.checkpoint}: no such folder; expected the checkpoint of the result")
        former = self.ledger.result(self.key)
        kept = result if former is None else former.model_copy(update={"checkpoint": result.checkpoint})
        entry = {**kept.as_json(), "schema": SCHEMA, "key": self.key, "attempt": self.number}
        if not write_json_once(folder / "result.json", entry):
            raise LostLease(f"node {self.key}: another attempt has committed")


def read_events(path: Path) -> Iterator[Event]:
    """The events of one attempt; lines torn by a kill are skipped."""
    if not path.exists():
        return
    with path.open("rb") as file:
        yield from (event for line in file if (event := parse_event(line)) is not None)


def parse_event(line: bytes) -> Event | None:
    """The event in a line; None where the line was torn by a kill, or is no event."""
    with suppress(ValidationError):
        return Event.model_validate_json(line)
    return None
