"""The cache of this machine: results that are worth computing once, by the content they depend on."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

DIGEST = re.compile(b"[0-9a-f]{64}")


def cache_dir() -> Path:
    """The folder of the cache: `$ASR_SCALING_CACHE`, else `~/.cache/asr-scaling`. It may be deleted at any time."""
    return Path(os.environ.get("ASR_SCALING_CACHE") or Path.home() / ".cache" / "asr-scaling")


def file_digest(path: Path) -> str:
    """SHA-256 of the content of `path`, cached by resolved path, size and modification time."""
    stat = path.stat()
    identity = json.dumps([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
    entry = cache_dir() / "digests" / hashlib.sha256(identity.encode()).hexdigest()
    with suppress(OSError):
        if DIGEST.fullmatch(cached := entry.read_bytes()):
            return cached.decode()
    with path.open("rb") as stream:
        value = hashlib.file_digest(stream, "sha256").hexdigest()
    write_whole(entry, lambda out: out.write(value.encode()))
    return value


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill `path`, which readers see complete or not at all. Where it cannot be written, do nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
            write(out)
    except OSError:
        return
    try:
        Path(out.name).replace(path)
    except OSError:
        Path(out.name).unlink(missing_ok=True)
