"""Stages on disk: who works on a node, and its result.

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
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from scaling.errors import InputError
from scaling.ledger.lease import Lease, is_gone, is_recent, killed_for_memory, new_lease, stands_still
from scaling.ledger.records import Event, Failure, NodeResult
from scaling.spec import StageNode, node_from_json
from scaling.system.atomic_files import temporary_beside, write_all, write_json_atomically, write_json_once
from scaling.system.contained_files import InnerFiles, without_links
from scaling.system.fault_injection import crash_point
from scaling.system.file_clock import file_time
from scaling.system.json_files import json_object, parse_record

SCHEMA = "asr-scaling/ledger-1"

RESULT_FILE, FORMER_FILE = "result.json", "former.json"
"""The result in the folder of a node, and that of a node that is trained again."""

ATTEMPT = re.compile("(?!0000$)0[0-9]{3}|[1-9][0-9]{3,8}")
"""The name of an attempt's folder: its number, from 1, in at least four digits."""


class LostLease(Exception):
    """Another worker has taken over the node: this worker must not commit its result."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The stages under one root folder, shared by any number of studies and workers.

    With `durable`, a file counts as written only when it is on the disk, because results must survive a power cut.
    """

    root: Path
    durable: bool = True

    @property
    def files(self) -> InnerFiles:
        """The files below the root, reached without following a link out of it."""
        return InnerFiles(self.root)

    def folder(self, key: str) -> Path:
        """The folder of node `key`."""
        return self.root / "stages" / key

    def now(self) -> float:
        """The time by the clock that stamps the ledger's files."""
        return file_time(self.root)

    def add(self, key: str, stage: Mapping[str, object]) -> bool:
        """Write `stage.json` of node `key` with the fields of `stage`, unless it exists; whether it was written.

        Raises InputError where the node's folder is something else.
        """
        path = self.folder(key) / "stage.json"
        if self.files.stands(f"stages/{key}/stage.json"):
            return False
        self.files.refuse_other(f"stages/{key}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_json_once(path, {"schema": SCHEMA, "key": key, **stage}, durable=self.durable)

    def stage(self, key: str) -> dict[str, Any]:
        """The content of `stage.json` of node `key`. Raises InputError where the file is missing or torn."""
        place = f"stages/{key}/stage.json"
        return json_object(self.files.read(place), str(self.root / place))

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
        for name in (RESULT_FILE, FORMER_FILE):
            if self.files.stands(place := f"stages/{key}/{name}"):
                return parse_record(NodeResult, self.files.read(place), f"{self.root}/{place}")
        return None

    def done(self, key: str) -> bool:
        """Whether node `key` has a committed result."""
        return self.files.stands(f"stages/{key}/{RESULT_FILE}")

    def attempts(self, key: str) -> list["Attempt"]:
        """All attempts at node `key`, oldest first; folders whose names are no numbers are passed over.

        Raises InputError where what should be a folder is something else, or may not be read.
        """
        place = f"stages/{key}/attempts"
        numbers = []
        for name, is_folder in self.files.entries(place).items():
            if ATTEMPT.fullmatch(name):
                if not is_folder:
                    raise InputError(f"{self.root}/{place}/{name}: is no folder; expected that of an attempt")
                numbers.append(int(name))
        return [Attempt(ledger=self, key=key, number=number) for number in sorted(numbers)]

    def unfinished_attempt(self, key: str) -> "Attempt | None":
        """The last attempt at node `key`; None where it has a result, or was never tried. Raises as `attempts`."""
        attempts = [] if self.done(key) else self.attempts(key)
        return attempts[-1] if attempts else None

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
        return sum(attempt.ran_out_of_memory() for attempt in self.attempts(key))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to train one node, in a folder of its own."""

    ledger: Ledger
    key: str
    number: int

    @property
    def folder(self) -> Path:
        """The folder in which this attempt, and no other, writes."""
        return self.ledger.root / self.place

    @property
    def place(self) -> str:
        """The folder, relative to the root of the ledger."""
        return f"stages/{self.key}/attempts/{self.number:04d}"

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
        try:
            os.utime(self.heartbeat, follow_symlinks=False)
        except FileNotFoundError:
            os.close(os.open(self.heartbeat, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))

    def held(self) -> bool:
        """Whether a live worker seems to hold this attempt, as far as one look can tell."""
        return not self.abandoned() and is_recent(self.heartbeat, self.ledger.now())

    def abandoned(self) -> bool:
        """Whether this attempt has ended, or its process is known to be gone: nobody writes into its folder again."""
        lease = self.lease()
        return self.ended() or (lease is not None and is_gone(lease))

    def over(self) -> bool:
        """Whether another attempt may begin. Repeated calls observe a worker whose heartbeat is old (`lease`)."""
        return self.abandoned() or (not is_recent(self.heartbeat, self.ledger.now()) and stands_still(self.heartbeat))

    def record_memory_kill(self, session: str) -> None:
        """If the kernel killed the worker for memory, record this, so that the next attempt uses less memory."""
        lease = self.lease()
        if not self.ended() and lease is not None and killed_for_memory(lease):
            self.fail("memory", "its process was killed by the kernel: out of memory", session=session)

    def lease(self) -> Lease | None:
        """Who holds, or held, this attempt; None where a power cut left no readable lease."""
        place = f"{self.place}/lease.json"
        with suppress(InputError):
            return parse_record(Lease, self.ledger.files.read(place), place)
        return None

    def failure(self) -> Failure | None:
        """Why this attempt failed; None where it did not. Raises InputError where the file holds no failure."""
        place, files = f"{self.place}/failure.json", self.ledger.files
        return parse_record(Failure, files.read(place), f"{files.root}/{place}") if files.stands(place) else None

    def ran_out_of_memory(self) -> bool:
        """Whether this attempt failed for memory; a failure that cannot be read says nothing."""
        with suppress(InputError):
            failure = self.failure()
            return failure is not None and failure.kind == "memory"
        return False

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
            return None if self.ledger.files.stands(f"{self.place}/forgiven.json") else failure
        return failure if failure.session == session else None

    def allow_retry(self) -> None:
        """Let a diverged node be tried again, which helps where the software has changed."""
        write_json_atomically(self.folder / "forgiven.json", {"time": time.time()})

    def ended(self) -> bool:
        """Whether this attempt was recorded as failed or released, by its worker or its launcher."""
        return any(self.ledger.files.stands(f"{self.place}/{name}") for name in ("failure.json", "released.json"))

    def release(self) -> None:
        """Give the node up without a result or a failure: another worker may go on from its checkpoint at once."""
        write_json_atomically(self.folder / "released.json", {"time": time.time()})

    def log(self, event: Event) -> None:
        """Append one event. Only this attempt writes the file; a line torn by a kill is skipped by readers."""
        content = {"time": round(time.time(), 3), **event.as_json()}
        line = json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
        with cast(BinaryIO, open(self.events, "ab+", buffering=0, opener=without_links)) as file:
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
        if result.checkpoint is not None and not self.ledger.files.is_folder(f"stages/{self.key}/{result.checkpoint}"):
            raise InputError(f"{folder / result.checkpoint}: no such folder; expected the checkpoint of the result")
        former = self.ledger.result(self.key)
        if former is None:
            kept = result.model_copy(update={"finished": round(self.ledger.now(), 3)})
        else:
            kept = former.model_copy(update={"checkpoint": result.checkpoint})
        entry = {**kept.as_json(), "schema": SCHEMA, "key": self.key, "attempt": self.number}
        if not write_json_once(folder / RESULT_FILE, entry):
            raise LostLease(f"node {self.key}: another attempt has committed")
