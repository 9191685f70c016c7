"""Links and mounts in a ledger: what they lead to is neither deleted, nor measured, nor copied."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_run import run_locally
from small_study import study_fields

from scaling.errors import InputError
from scaling.ledger.checkpoints import checkpoint_of
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from scaling.ledger.records import Event
from sweeps.finished.find_run import find_run
from sweeps.progress.results_table import Collector
from sweeps.progress.retention import collect_garbage
from sweeps.run import tensorboard_tracker
from sweeps.run.tracking import write_runs

PLACES = ["", "attempts", "attempts/0001", "attempts/0001/final", "attempts/0001/checkpoint-000000007"]


@pytest.fixture(scope="module")
def trained_once(surroundings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "study.yaml").write_text(json.dumps(study_fields(surroundings) | {"strategies": ["joint"]}))
    run_locally(folder / "study.yaml", folder / "out", workers=1)
    return folder / "out"


@pytest.fixture
def finished(trained_once: Path, tmp_path: Path) -> Path:
    """A finished study of three runs, in which each node also has an old checkpoint that `gc` may free."""
    out = Path(shutil.copytree(trained_once, tmp_path / "out"))
    for attempt in out.glob("stages/*/attempts/0001"):
        (attempt / "checkpoint-000000007").mkdir()
        (attempt / "checkpoint-000000007" / "weights").write_bytes(bytes(500))
    return out


def nodes(out: Path) -> list[Path]:
    return [out / "stages" / key for key in read_plan_file(out).nodes]


def contents(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path.relative_to(folder)), path.stat().st_size) for path in folder.rglob("*"))


@pytest.mark.parametrize("place", PLACES)
def test_gc_and_the_quota_leave_what_a_link_leads_to(place: str, finished: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    before = {}
    for node in nodes(finished):
        shutil.move(node / place, stranger / node.name)
        (node / place).symlink_to(stranger / node.name)
        before[node.name] = contents(stranger / node.name)
    ledger = Ledger(finished)
    assert ledger.files.bytes_of("stages") < 20_000 + sum(path.lstat().st_size for path in finished.rglob("*.json*"))
    collect_garbage(ledger)
    collect_garbage(ledger)
    assert {name: contents(stranger / name) for name in before} == before


def test_gc_leaves_what_is_mounted_in_a_checkpoint_s_place(finished: Path, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounts need root")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis").write_text("words")
    mounts = [f"mount --bind {stranger} {node}/attempts/0001/checkpoint-000000007" for node in nodes(finished)]
    program = (
        "from pathlib import Path; from scaling.ledger.ledger import Ledger\n"
        "from sweeps.progress.retention import collect_garbage\n"
        f"collect_garbage(Ledger(Path({str(finished)!r})))"
    )
    script = "\n".join(["set -e", *mounts, 'exec "$0" -c "$1"'])
    subprocess.run(["unshare", "--mount", "sh", "-c", script, sys.executable, program], check=True)
    assert (stranger / "thesis").read_text() == "words"


def test_a_private_file_in_place_of_utterances_is_not_copied(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = tmp_path / "private"
    private.write_text("secret")
    shutil.rmtree(finished / "utterances")
    for path in finished.glob("stages/*/attempts/0001/utterances.jsonl"):
        path.unlink()
        path.symlink_to(private)
    rows = Collector(read_plan_file(finished)).collect()
    assert len(rows) == 3
    assert not list(finished.glob("utterances/*"))
    assert "utterances.jsonl: is a symbolic link; expected a file" in capsys.readouterr().err


def test_utterances_are_not_written_into_a_linked_folder(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stranger").mkdir()
    shutil.rmtree(finished / "utterances")
    (finished / "utterances").symlink_to(tmp_path / "stranger")
    assert len(Collector(read_plan_file(finished)).collect()) == 3
    assert "utterances: is a symbolic link; expected a folder" in capsys.readouterr().err
    assert not list((tmp_path / "stranger").iterdir())


def test_a_run_whose_checkpoint_is_a_link_is_not_used(finished: Path, tmp_path: Path) -> None:
    ledger, end = Ledger(finished), read_plan_file(finished).runs[-1].nodes[-1]
    checkpoint = finished / str(checkpoint_of(ledger, end))
    (checkpoint / "progress.json").write_text("{}")
    shutil.move(checkpoint, tmp_path / "elsewhere")
    checkpoint.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="the run's checkpoint is gone"):
        find_run(finished, read_plan_file(finished).runs[-1].key, None)


def test_the_root_may_be_a_link(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").symlink_to(finished)
    assert len(collect_garbage(Ledger(tmp_path / "scratch")).nodes) == 2
    assert len(Collector(read_plan_file(tmp_path / "scratch")).collect()) == 3


def test_a_heartbeat_or_events_that_are_links_are_not_written_through(finished: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    attempt = Ledger(finished).attempts(read_plan_file(finished).nodes[0])[0]
    for path in (attempt.heartbeat, attempt.events):
        path.unlink()
        path.symlink_to(private)
    attempt.beat()
    with pytest.raises(OSError, match="symbolic link"):
        attempt.log(Event(event="progress"))
    assert not private.exists()
    assert attempt.heartbeat.is_symlink()


@pytest.mark.parametrize("name", ["worker-0.log", "fork-server.log"])
@pytest.mark.parametrize("kind", ["a link", "a FIFO", "a linked folder"])
def test_no_log_is_written_through_a_link_or_waits_at_a_fifo(
    name: str, kind: str, surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FORKED", "1")
    private, logs = tmp_path / "private", tmp_path / "out" / "logs"
    private.mkdir()
    (private / name).write_text("secret\n")
    logs.parent.mkdir()
    if kind == "a linked folder":
        logs.symlink_to(private)
    else:
        logs.mkdir()
        os.mkfifo(logs / name) if kind == "a FIFO" else (logs / name).symlink_to(private / name)
    (tmp_path / "study.yaml").write_text(json.dumps(study_fields(surroundings) | {"strategies": ["joint"]}))
    with pytest.raises(InputError, match=r"is a (symbolic link|FIFO); expected a (file|folder)"):
        run_locally(tmp_path / "study.yaml", tmp_path / "out", workers=1)
    assert (private / name).read_text() == "secret\n"


@pytest.mark.parametrize("tracker", ["wandb", "tensorboard"])
def test_a_tracker_deletes_and_writes_nothing_where_its_folder_is_a_link(
    tracker: str, finished: Path, tmp_path: Path
) -> None:
    pytest.importorskip(tracker, reason="the tracker is an extra")
    stranger = tmp_path / "stranger"
    for run in read_plan_file(finished).runs:
        for name in (f"offline-run-20260101_000000-{run.key}", tensorboard_tracker.folder_name(run)):
            (stranger / name).mkdir(parents=True)
            (stranger / name / "thesis").write_text("words")
    (finished / tracker).symlink_to(stranger)
    before = contents(stranger)
    with pytest.raises(InputError, match=f"{tracker}: is a symbolic link; expected a folder"):
        write_runs(finished, tracker)
    assert contents(stranger) == before


def test_folders_within_folders_without_end_are_left(finished: Path) -> None:
    ledger = Ledger(finished)
    place = ledger.attempts(read_plan_file(finished).nodes[0])[0].folder / "checkpoint-000000007"
    handle = os.open(place, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    assert len(collect_garbage(ledger).nodes) == 2
    assert place.is_dir()
    subprocess.run(["rm", "-rf", place], check=True)  # pytest's own cleaning cannot
