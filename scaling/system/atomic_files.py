"""Files that a reader sees whole or not at all, and that survive a power cut once they are written."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

from scaling.system.fault_injection import crash_point


def write_json_atomically(path: Path, value: Mapping[str, object]) -> None:
    """Replace `path` by `value` as JSON; readers see the old file or the new one, never a part."""
    write_text_atomically(path, _json_text(value))


def write_text_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text`; readers see the old file or the new one, never a part."""
    temporary = _write_beside(path, text, durable=True)
    temporary.replace(path)
    crash_point(f"{path.name}: replaced")
    sync(path.parent)


def write_json_once(path: Path, value: Mapping[str, object], *, durable: bool = True) -> bool:
    """Create `path` holding `value` as JSON. Where the file exists already, change nothing and return False."""
    temporary = _write_beside(path, _json_text(value), durable=durable)
    try:
        os.link(temporary, path)
        crash_point(f"{path.name}: linked")
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    if durable:
        sync(path.parent)
    return True


def write_all(file: BinaryIO, content: bytes, name: str) -> None:
    """Write `content` to the end, however little a call writes, in two parts between which a test may kill it."""
    for part in (content[: len(content) // 2], content[len(content) // 2 :]):
        crash_point(f"{name}: in the middle")
        unwritten = memoryview(part)
        while unwritten:
            unwritten = unwritten[file.write(unwritten) :]


def temporary_beside(path: Path) -> Path:
    """A name in the folder of `path` that no other process uses."""
    return path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _json_text(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"  # in one line: ten times as fast


def _write_beside(path: Path, text: str, *, durable: bool) -> Path:
    temporary = temporary_beside(path)
    try:
        with temporary.open("wb", buffering=0) as file:
            write_all(cast(BinaryIO, file), text.encode(), path.name)
            if durable:
                os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    crash_point(f"{path.name}: written beside")
    return temporary
