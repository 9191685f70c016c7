"""`DIR/forecasts.jsonl`: one forecast a line, in the order in which they were written down.

The file only grows. Lines are added at once, while the folder is locked, so that a process that dies leaves whole lines
and two processes do not register the same forecast.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field

from analysis.tables.seed_averaged_points import CurveIdentity
from scaling.errors import InputError
from scaling.ledger.record import Count, Positive, Record
from scaling.system.atomic_files import sync
from scaling.system.fault_injection import crash_point
from scaling.system.json_files import read_record_lines

FORECASTS_FILE = "forecasts.jsonl"
"""The forecasts of a study, in the study's folder."""

SCHEMA = "asr-scaling/forecast-1"
"""Format of a line."""

Ends = Annotated[tuple[Positive, Positive], Field(strict=False)]


class RegisteredForecast(Record):
    """What was said of one new run of a curve at a budget, before there was one."""

    format: str = Field(alias="schema")
    """Name and version of the format: `asr-scaling/forecast-1`."""
    time: Annotated[AwareDatetime, Field(strict=False)]
    """When it was written down, by the clock of the file system."""
    digest: Annotated[str, Field(min_length=1)]
    """SHA-256 of the rows of the table that it rests on, whatever their order (`registering.register.table_digest`)."""
    runs: Count
    """Runs with a result in that table."""
    largest_budget_flops: Positive
    """The largest budget of these runs."""
    strategy: str
    """Strategy of the curve."""
    encoder: str | None
    """Encoder of the curve; null where the table does not tell models apart."""
    llm: str | None
    """LLM of the curve; null where the table does not tell models apart."""
    flops: Positive
    """The budget that is forecast, in charged FLOPs."""
    cer: Positive
    """The error that the curve is as likely above as below."""
    level: Annotated[float, Field(gt=0, lt=1)]
    """Probability with which each of the two intervals holds its truth."""
    interval: Ends
    """The interval of one new run."""
    curve_interval: Ends
    """The interval of the curve, without the noise of a run."""
    quantiles: Mapping[str, Positive]
    """Errors by the probability that one new run falls below them: the ends of intervals of 50 to 95 %, the median."""
    extrapolation: Positive
    """`flops` over the largest that the curve was fitted to."""
    law: str
    """`averaged`, or the law that was asked for by name."""
    loss: str
    """What the fits minimised."""
    status: str
    """How far the answer can be trusted, as `predict` says."""
    warnings: list[str]
    """What `predict` warns of."""
    version: str
    """Version of the product."""

    @property
    def curve(self) -> CurveIdentity:
        """Strategy, encoder and LLM."""
        return self.strategy, self.encoder, self.llm

    @property
    def label(self) -> str:
        """The curve and the budget in words."""
        models = " + ".join(name for name in (self.encoder, self.llm) if name)
        return f"{self.strategy}{f' ({models})' if models else ''} at {self.flops:.4g} FLOPs"


def read_registered(folder: Path) -> list[RegisteredForecast]:
    """A study's forecasts, the oldest first; none without a file. Raises InputError naming file, line and field."""
    path = folder / FORECASTS_FILE
    if not os.path.lexists(path):
        return []
    if not path.is_file():
        raise InputError(f"{path}: is no file; expected forecasts, one a line")
    forecasts = read_record_lines(RegisteredForecast, path)
    for number, forecast in enumerate(forecasts, start=1):
        if forecast.format != SCHEMA:
            raise InputError(f"{path}: forecast {number}: schema is {forecast.format!r}; expected {SCHEMA!r}")
    return forecasts


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within this context no other process is in it. A file system without locks stops nobody."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def append(folder: Path, forecasts: Sequence[RegisteredForecast]) -> None:
    """Add forecasts to the file, all or none. The folder is `locked`, and the lines that are there were read."""
    path = folder / FORECASTS_FILE
    lines = [json.dumps(one.model_dump(mode="json", by_alias=True), ensure_ascii=False) + "\n" for one in forecasts]
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        before = os.fstat(handle).st_size
        open_ended = before > 0 and os.pread(handle, 1, before - 1) != b"\n"
        content = b"\n" * open_ended + "".join(lines).encode()
        crash_point(f"{FORECASTS_FILE}: before the lines")
        if os.write(handle, content) < len(content):  # in one call, which a signal does not part
            os.ftruncate(handle, before)
            raise InputError(f"{path}: the disk is full; nothing was registered")
        os.fsync(handle)
        crash_point(f"{FORECASTS_FILE}: after the lines")
    finally:
        os.close(handle)
    sync(folder)
