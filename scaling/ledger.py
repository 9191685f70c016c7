"""Stages on disk: who works on a node, what came of it. The only file format other programs rely on.

    ROOT/stages/<key>/stage.json             what to train; written once, never changed
    ROOT/stages/<key>/attempts/<n>/          one try: lease.json, heartbeat, events.jsonl, checkpoints, failure.json
    ROOT/stages/<key>/result.json            exists = the node is done; names the attempt that holds its checkpoint

An attempt is claimed by creating its folder, which a file system lets one process do. A lease is alive while its
heartbeat is young, or, on the same machine since the same boot, while its process lives. A worker whose lease was
taken over can still write into its own folder, and nowhere else: `commit` refuses it (fencing), and links
`result.json` into place without replacing, so a node has exactly one result whatever dies when.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError

SCHEMA = "asr-scaling/ledger-1"

LEASE_SECONDS = 30.0
"""A heartbeat older than this has lost its lease: fifteen beats, so a stalled disk does not cost an attempt."""

HEARTBEAT_SECONDS = 2.0


class LostLease(Exception):
    """Another worker has taken over this node; what was done here must not be committed."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The stages under one root folder, shared by any number of studies and workers.

    `durable` waits for the disk before a node counts as written: what training cost must survive a power cut.
    """

    root: Path
    durable: bool = True

    def folder(self, key: str) -> Path:
        """Where the node `key` lives."""
        return self.root / "stages" / key

    def add(self, key: str, stage: dict[str, Any]) -> bool:
        """Write what node `key` is, unless it is there already; True where it is new."""
        path = self.folder(key) / "stage.json"
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_once(path, {"schema": SCHEMA, "key": key, **stage}, durable=self.durable)

    def stage(self, key: str) -> dict[str, Any]:
        """What node `key` is. Raises InputError where the file is missing or torn."""
        return read_json(self.folder(key) / "stage.json")

    def result(self, key: str) -> dict[str, Any] | None:
        """What came of node `key`, or None while it is not done."""
        path = self.folder(key) / "result.json"
        return read_json(path) if path.exists() else None

    def done(self, key: str) -> bool:
        """Whether node `key` has a committed result."""
        return (self.folder(key) / "result.json").exists()

    def attempts(self, key: str) -> list["Attempt"]:
        """Every try at node `key`, oldest first."""
        folder = self.folder(key) / "attempts"
        numbers = sorted(int(path.name) for path in folder.glob("[0-9]*")) if folder.is_dir() else []
        return [Attempt(ledger=self, key=key, number=number) for number in numbers]

    def claim(self, key: str, *, session: str) -> "Attempt | None":
        """Start the next attempt at node `key`; None where it is done, held by a live worker, or just taken.

        `session` names the invocation the worker belongs to; it is recorded with a failure, so that a later
        invocation may try again.
        """
        if self.done(key):
            return None
        attempts = self.attempts(key)
        if attempts and attempts[-1].held():
            return None
        attempt = Attempt(ledger=self, key=key, number=attempts[-1].number + 1 if attempts else 1)
        attempt.folder.parent.mkdir(exist_ok=True)
        try:
            attempt.folder.mkdir()
        except FileExistsError:
            return None
        attempt.beat()
        write_atomically(attempt.folder / "lease.json", {"session": session, "since": time.time(), **_process()})
        return attempt


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one node, in a folder of its own."""

    ledger: Ledger
    key: str
    number: int

    @property
    def folder(self) -> Path:
        """Where this attempt writes; nobody else does."""
        return self.ledger.folder(self.key) / "attempts" / f"{self.number:04d}"

    @property
    def events(self) -> Path:
        """Progress of this attempt, one JSON object a line."""
        return self.folder / "events.jsonl"

    def beat(self) -> None:
        """Say that the worker lives."""
        (self.folder / "heartbeat").touch()

    def held(self) -> bool:
        """Whether a live worker holds this attempt."""
        if self.failure() is not None or (self.folder / "released.json").exists():
            return False
        try:
            age = time.time() - (self.folder / "heartbeat").stat().st_mtime
        except FileNotFoundError:  # claimed a moment ago, or its worker died between two system calls
            age = time.time() - self.folder.stat().st_mtime
        lease = self._lease()
        if lease is not None and (lease["host"], lease["boot"]) == (_process()["host"], _process()["boot"]):
            return _alive(lease)
        return abs(age) < LEASE_SECONDS

    def failure(self) -> dict[str, Any] | None:
        """Why this attempt failed: `kind`, `cause`, `session`; None where it did not."""
        path = self.folder / "failure.json"
        return read_json(path) if path.exists() else None

    def fail(self, kind: str, cause: str, *, session: str) -> None:
        """Record that this attempt ended without a result. `kind` is `error` or `diverged`."""
        write_atomically(self.folder / "failure.json", {"kind": kind, "cause": cause, "session": session})

    def release(self) -> None:
        """Give the node up without a result or a failure: anyone may go on from its checkpoint at once."""
        write_atomically(self.folder / "released.json", {"time": time.time()})

    def log(self, event: dict[str, Any]) -> None:
        """Append one event. Only this attempt writes the file; a line torn by a kill is skipped by readers."""
        line = json.dumps({"time": round(time.time(), 3), **event}, ensure_ascii=False, allow_nan=False) + "\n"
        with self.events.open("ab") as file:
            file.write(line.encode())

    def check_lease(self) -> None:
        """Raise LostLease where a newer attempt exists or the node is done."""
        if self.ledger.done(self.key) or self.ledger.attempts(self.key)[-1].number != self.number:
            raise LostLease(f"node {self.key}: attempt {self.number} was taken over")

    def commit(self, result: dict[str, Any]) -> None:
        """Make `result` the node's one result. Raises LostLease where this attempt no longer holds the node."""
        self.check_lease()
        entry = {"schema": SCHEMA, "key": self.key, "attempt": self.number, **result}
        if not write_once(self.ledger.folder(self.key) / "result.json", entry):
            raise LostLease(f"node {self.key}: another attempt has committed")

    def _lease(self) -> dict[str, Any] | None:
        path = self.folder / "lease.json"
        return read_json(path) if path.exists() else None


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of one attempt; lines torn by a kill are skipped."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                yield json.loads(line)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises InputError naming the file where it is missing, torn or not an object."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def write_atomically(path: Path, value: dict[str, Any]) -> None:
    """Replace `path` by `value` as JSON; readers see the old file or the new one, never a part."""
    temporary = _write_beside(path, value)
    temporary.replace(path)
    _sync_folder(path.parent)


def write_once(path: Path, value: dict[str, Any], *, durable: bool = True) -> bool:
    """Create `path` holding `value` as JSON; False, and nothing changed, where it exists already."""
    temporary = _write_beside(path, value, durable=durable)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    if durable:
        _sync_folder(path.parent)
    return True


def write_text_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text`; readers see the old file or the new one, never a part."""
    temporary = _temporary(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _write_beside(path: Path, value: dict[str, Any], *, durable: bool = True) -> Path:
    temporary = _temporary(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")  # in one line: ten times as fast
            if durable:
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _process() -> dict[str, Any]:
    """Who we are: enough to tell, on this machine and since this boot, whether the process still lives."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": _boot_id(), "pid": pid, "started": _started(pid)}


def _alive(lease: dict[str, Any]) -> bool:
    started = _started(int(lease["pid"]))
    return started is not None and started == lease["started"]


def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _started(pid: int) -> str | None:
    """A process's start time in clock ticks since boot; None where it is gone or a zombie. Without /proc: its pid."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    with suppress(OSError):
        os.kill(pid, 0)
        return str(pid)
    return None
