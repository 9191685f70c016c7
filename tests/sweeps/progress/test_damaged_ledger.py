"""Files of a ledger as anything else: one line names the file and the cause, and the rest of the study goes on.

Each case damages one thing in a finished study, or in one whose last node is unfinished, and then asks `status`, `gc`
and `run`, the last with the trainer of docs/external_trainer.py in this process.
"""

import ctypes
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from local_run import run_locally
from small_study import study_fields

from scaling.cli import main
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from scaling.system.progress_line import ProgressLine
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.run.monitor import Monitor

ROOT = Path(__file__).parents[3]


def as_text(text: str) -> Callable[[Path, Path], int]:
    return lambda path, _: path.write_text(text)


def sparse(path: Path) -> None:
    """A file that says it holds 1 TB, and takes no room."""
    with path.open("wb") as file:
        file.truncate(10**12)


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # the address of a socket has at most 107 bytes
        listener.bind(path.name)


LOCKED = r": not readable \(Permission denied\)"
NO_FILE = r": is a (folder|FIFO|symbolic link); expected a file"
NO_FOLDER = r": is a (file|FIFO|symbolic link); expected a folder|: is no folder; expected that of an attempt"

DAMAGES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "empty": (as_text(""), r": not valid JSON"),
    "an object without fields": (as_text("{}"), r": \w+ is missing|: not a stage of this version"),
    "a list": (as_text("[1, 2]"), r": expected a JSON object, found list"),
    "truncated": (lambda path, content: path.write_bytes(content.read_bytes()[:40]), r": not valid JSON"),
    "not UTF-8": (lambda path, _: path.write_bytes(b"\xff\xfe{}\x00"), r": not valid JSON"),
    "a folder": (lambda path, _: path.mkdir(), NO_FILE),
    "a FIFO": (lambda path, _: os.mkfifo(path), NO_FILE),
    "a dangling link": (lambda path, _: path.symlink_to("nowhere"), NO_FILE),
    "a link to the content": (lambda path, content: path.symlink_to(content), NO_FILE),
    "locked": (lambda path, content: Path(shutil.copy(content, path)).chmod(0), LOCKED),
    "a socket": (lambda path, _: socket_at(path), r": is a socket; expected a file"),
    "larger than any memory": (lambda path, _: sparse(path), r": \d+ bytes; expected at most"),
}
"""Ways to damage a file, given its place and a copy of its content, and what is said where the file is needed."""

FOLDER_DAMAGES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a file": (as_text("x"), NO_FOLDER),
    "a FIFO": (lambda path, _: os.mkfifo(path), NO_FOLDER),
    "a dangling link": (lambda path, _: path.symlink_to("nowhere"), NO_FOLDER),
    "a link to the content": (lambda path, content: path.symlink_to(content), NO_FOLDER),
    "locked": (lambda path, content: Path(shutil.copytree(content, path)).chmod(0), LOCKED),
}


@pytest.fixture(scope="module")
def finished(surroundings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study of three runs in `out` and its file `study.yaml`."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "study.yaml").write_text(json.dumps(study_fields(surroundings) | {"strategies": ["joint"]}))
    assert run_locally(folder / "study.yaml", folder / "out", workers=1).exit_code == 0
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder. Whoever is silent is believed to be dead at once."""
    monkeypatch.setattr("scaling.ledger.lease.STILL_SECONDS", 0.0)
    monkeypatch.setattr("sweeps.progress.retention.STILL_SECONDS", 0.0)
    return Path(shutil.copytree(finished, tmp_path / "study"))


@contextmanager
def a_user_s_power() -> Iterator[None]:
    """Within this context permissions hold for this thread, as they do for everybody but root."""
    if os.geteuid() != 0:
        yield
        return
    libc, header = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    before, overrides = data[0], 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    data[0] = before & ~overrides
    assert libc.capset(header, data) == 0
    try:
        yield
    finally:
        data[0] = before
        assert libc.capset(header, data) == 0


def too_slow(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("hangs")


@pytest.fixture(autouse=True)
def no_longer_than_a_lease() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def ask(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["asr-scaling", *map(str, arguments)])
        try:
            main()
        except SystemExit as left:
            return int(left.code or 0)
    return 0


def run(folder: Path) -> tuple[int, int]:
    """What `run` does, with one worker in this process: the exit code, and the number of rows."""
    ledger = Ledger(folder / "out")
    prepared = prepare(str(folder / "study.yaml"), [], ledger)
    plan_file = write_plan_file(prepared.study, prepared.plan, folder / "out", ledger)
    spec = importlib.util.spec_from_file_location("external_trainer", ROOT / "docs" / "external_trainer.py")
    assert spec is not None
    assert spec.loader is not None
    trainer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trainer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["worker", "--ledger", str(folder / "out"), "--plan", str(plan_file.path)])
        assert trainer.main() == 0
    outcome = Monitor(plan_file, ProgressLine()).finish(None)
    return outcome.exit_code, len(outcome.rows)


def damaged(study: Path, place: str, damage: Callable[[Path, Path], object], *, finished: bool) -> Path:
    """Damage `place` of the node that ends the last run, whose result is taken away unless it is to be `finished`."""
    folder = study / "out" / "stages" / read_plan_file(study / "out").runs[-1].nodes[-1]
    result = (folder / "result.json").read_bytes()
    if not finished:
        (folder / "result.json").unlink()
        os.utime(folder / "attempts/0001/heartbeat", (0, 0))
    content, path = study / "content", folder / place
    if path.is_dir():
        shutil.move(path, content)
    elif path.exists():
        path.rename(content)
    else:
        content.write_bytes(result)
    damage(path, content)
    return path


def all_said(study: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, int, int]:
    """What the commands print, and `run`'s exit code and rows."""
    with a_user_s_power():
        said = ""
        for verb in ("status", "gc"):
            assert ask(verb, study / "out") == 0, capsys.readouterr()
            said += f"== {verb}\n" + "".join(capsys.readouterr())
        code, rows = run(study)
        said += "== run\n" + "".join(capsys.readouterr())
        assert ask("status", study / "out") == 0
        said += "== status\n" + "".join(capsys.readouterr())
    assert "Traceback" not in said
    return said, code, rows


FILES = [("result.json", True), ("former.json", False), ("attempts/0001/failure.json", False), ("stage.json", False)]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("place", "is_finished"), FILES)
def test_a_damaged_file_that_is_needed_is_named_with_its_cause(
    place: str, is_finished: bool, damage: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damaged(study, place, DAMAGES[damage][0], finished=is_finished)
    said, code, rows = all_said(study, capsys)
    assert re.search(re.escape(str(path)) + f"({DAMAGES[damage][1]})", said)
    assert (code, rows) == (1, 2), said


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["lease.json", "heartbeat", "events.jsonl"])
def test_a_damaged_file_of_a_dead_worker_keeps_nobody_from_its_node(
    name: str, damage: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damaged(study, f"attempts/0001/{name}", DAMAGES[damage][0], finished=False)
    os.utime(path, (0, 0), follow_symlinks=False)
    said, code, rows = all_said(study, capsys)
    assert (code, rows) == (0, 3), said


@pytest.mark.parametrize("damage", FOLDER_DAMAGES)
@pytest.mark.parametrize("place", ["", "attempts", "attempts/0001"])
def test_a_damaged_folder_is_named_with_its_cause(
    place: str, damage: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damaged(study, place, FOLDER_DAMAGES[damage][0], finished=False)
    said, code, rows = all_said(study, capsys)
    assert re.search(re.escape(str(path)) + f"({FOLDER_DAMAGES[damage][1]})", said)
    assert (code, rows) == (1, 2), said


@pytest.mark.parametrize("damage", ["a folder", "a FIFO", "a socket", "locked", "truncated", "larger than any memory"])
@pytest.mark.parametrize(
    ("name", "verb"),
    [("plan.json", verb) for verb in ("status", "gc", "export")]
    + [("runs.jsonl", verb) for verb in ("status", "fit", "export")],
)
def test_a_damaged_file_of_the_study_s_folder_is_one_line(
    name: str, verb: str, damage: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study / "out" / name
    path.rename(study / "content")
    DAMAGES[damage][0](path, study / "content")
    with a_user_s_power():
        code = ask(verb, study / "out", *([study / "exported"] if verb == "export" else []))
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1), said
    assert str(path) in said


@pytest.mark.parametrize("name", ["0002~", "0000", "٠٠٠٢", "00002", "-002", "2", "0002 ", ".0002.7.7"])
def test_an_odd_name_among_the_attempts_is_nobody_s(name: str, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged(study, f"attempts/{name}", lambda path, _: path.mkdir(), finished=False)
    said, code, rows = all_said(study, capsys)
    assert (code, rows) == (0, 3), said
