import getpass
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local_run import STAND_IN, run_locally
from small_study import StudyWriter, study_fields

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from scaling.ledger.run_curve import curve_points
from sweeps.plan.prepare import prepare
from sweeps.run import wandb_tracker
from sweeps.run.run import train
from sweeps.run.tracked_run import CONFIG_FIELDS
from sweeps.run.tracking import end_tracker, start_tracker, write_runs
from sweeps.run.wandb_tracker import FINISH_SECONDS

pytest.importorskip("wandb", reason="the tracker is an extra")


@pytest.fixture(scope="module")
def trained_once(surroundings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study of four runs."""
    folder = tmp_path_factory.mktemp("finished")
    study = folder / "study.yaml"
    study.write_text(json.dumps(study_fields(surroundings) | {"budgets_flops": [2_000_000_000, 4_000_000_000]}))
    run_locally(study, folder / "out", workers=2)
    return folder / "out"


@pytest.fixture
def finished(trained_once: Path, tmp_path: Path) -> Path:
    """A copy of its own for each test, which nothing was tracked of."""
    return Path(shutil.copytree(trained_once, tmp_path / "out"))


def inspect(folder: Path, key: str) -> list[dict[str, Any]]:
    """The records of a run's offline file, as wandb's own reader prints them."""
    (path,) = folder.glob(f"wandb/offline-run-*-{key}/run-{key}.wandb")
    printed = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in printed.stdout.splitlines() if line.startswith("{")]


def test_a_run_s_history_rises_over_all_its_stages_and_ends_with_its_error(finished: Path) -> None:
    plan_file = read_plan_file(finished)
    rows = {row["key"]: row for row in map(json.loads, (finished / "runs.jsonl").read_text().splitlines())}
    for run in plan_file.runs:
        points = list(curve_points(plan_file, run))
        flops = [point["flops"] for point in points]
        assert flops == sorted(flops)
        assert flops[-1] == rows[run.key]["flops"] == run.budget_flops
        assert points[-1]["cer"] == rows[run.key]["cer"]
        assert list(dict.fromkeys(p["stage"] for p in points[:-1])) == [stage.name for stage in run.stages]


def test_each_run_is_written_with_flops_as_its_step(finished: Path) -> None:
    assert write_runs(finished) == 4
    plan_file = read_plan_file(finished)
    run = plan_file.runs[0]
    records = inspect(finished, run.key)
    (begun,) = (record["run"] for record in records if record["type"] == "run")
    assert begun["run_id"] == run.key
    metrics = [record["metric"] for record in records if record["type"] == "metric"]
    assert [metric["step_metric"] for metric in metrics if metric.get("glob_name") == "*"] == ["flops"]
    written = [record["history"]["item"] for record in records if record["type"] == "history"]
    points = list(curve_points(plan_file, run))
    assert [item["flops"] for item in written] == [point["flops"] for point in points]
    assert [item.get("loss") for item in written] == [point.get("loss") for point in points]


def _timeless(record: Any) -> Any:
    """A record without wandb's own numbering, clocks and timings."""
    if isinstance(record, dict):
        return {
            name: _timeless(value)
            for name, value in record.items()
            if name not in ("num", "_timestamp", "_runtime", "_wandb", "_wandb.runtime", "control", "uuid", "timestamp")
        }
    return [_timeless(entry) for entry in record] if isinstance(record, list) else record


def test_writing_twice_gives_the_same_runs(finished: Path) -> None:
    runs = read_plan_file(finished).runs
    keys = list({run.strategy: run.key for run in runs}.values())  # each is read by a process of its own

    def written() -> dict[str, list[dict[str, Any]]]:
        kept = ("history", "config", "metric", "summary")
        return {key: [_timeless(r) for r in inspect(finished, key) if r["type"] in kept] for key in keys}

    write_runs(finished)
    first = written()
    write_runs(finished)
    assert written() == first
    assert len(first) == 2
    assert all(first.values())
    folders = sorted(path.name.rpartition("-")[2] for path in finished.glob("wandb/offline-run-*"))
    assert folders == sorted(run.key for run in runs)


def test_no_transcript_path_host_or_user_name_goes_out(
    finished: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host-of-secrets")
    write_runs(finished)
    files = list(finished.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 4
    written = b"".join(path.read_bytes() for path in files)
    assert b"projector_lora" in written  # what should go out is there, in plain bytes
    secrets = ["secret words", "host-of-secrets", str(tmp_path), str(Path.cwd()), "github.com", "origin", ".jsonl"]
    if len(getpass.getuser()) > 4:
        secrets.append(getpass.getuser())
    for secret in secrets:
        assert secret.encode() not in written, secret


def test_the_config_names_nothing_of_the_machine() -> None:
    assert not {"sources", "ledger", "provenance", "path"} & set(CONFIG_FIELDS)


def test_a_follower_writes_what_a_study_has_and_ends_with_it(finished: Path) -> None:
    process = start_tracker(finished)
    assert process is not None
    if hasattr(os, "SCHED_IDLE"):
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE  # never in a worker's way
        os.sched_setscheduler(process.pid, os.SCHED_OTHER, os.sched_param(0))  # a busy machine would starve it here
        assert os.getsid(process.pid) == os.getsid(0)
    end_tracker(process)
    assert process.returncode == 0
    assert len(list(finished.glob("wandb/offline-run-*/*.wandb"))) == 4


def test_two_followers_of_one_study_write_each_run_once(finished: Path) -> None:
    followers = [start_tracker(finished) for _ in range(2)]
    for follower in followers:
        assert follower is not None
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(follower.pid, os.SCHED_OTHER, os.sched_param(0))
    time.sleep(3)  # both have begun
    for follower in followers:
        end_tracker(follower, patience=60)
    assert [follower.returncode for follower in followers if follower is not None] == [0, 0]
    folders = sorted(path.name.rpartition("-")[2] for path in finished.glob("wandb/offline-run-*"))
    assert folders == sorted(run.key for run in read_plan_file(finished).runs)
    one = read_plan_file(finished).runs[-1]
    assert len([record for record in inspect(finished, one.key) if record["type"] == "run"]) == 1


def test_track_waits_for_a_follower_and_then_says_that_there_is_one(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_tracker, "FINISH_SECONDS", 0.5)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(finished)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process tracks this study"):
        write_runs(finished)
    assert not list(finished.glob("wandb/offline-run-*"))
    holder.kill()
    holder.communicate()
    assert write_runs(finished) == 4


HOLD = """
import sys; from pathlib import Path; from sweeps.run.tracker_lock import only_tracker
with only_tracker(Path(sys.argv[1]), lambda seconds: False) as alone:
    print("held" if alone else "taken", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def wandb_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What a follower finds under the name of wandb."""

    def write(program: str) -> None:
        package = tmp_path / "found" / "wandb"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", f"{package.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    return write


def test_a_tracker_that_hangs_is_left_behind(
    finished: Path, wandb_is: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    wandb_is("import time\nwhile True:\n    time.sleep(1)\n")
    process = start_tracker(finished)
    assert process is not None
    began = time.monotonic()
    end_tracker(process, patience=1.0)
    assert time.monotonic() - began < 5
    assert process.returncode == -signal.SIGKILL
    assert "asr-scaling track DIR" in capsys.readouterr().err
    assert FINISH_SECONDS < 60


@pytest.mark.parametrize(
    "program",
    ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "raise OSError(28, 'No space left on device')"],
    ids=["dies", "has no disk"],
)
def test_a_study_outlives_its_tracker(
    write_study: StudyWriter,
    tmp_path: Path,
    wandb_is: Callable[[str], None],
    program: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wandb_is(program)
    out = tmp_path / "out"
    prepared = prepare(str(write_study(tracker="wandb", strategies=["joint"])), [], Ledger(out))
    assert train(prepared, out, Ledger(out), 1, worker=shlex.join(STAND_IN)).exit_code == 0
    assert "asr-scaling track DIR" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a%b#c?d:1", "语音-1", "x" * 100])
def test_studies_of_any_name_are_tracked_and_keep_it_in_the_config(
    surroundings: Path, tmp_path: Path, name: str
) -> None:
    study = tmp_path / "study.yaml"
    fields = study_fields(surroundings) | {"budgets_flops": [2_000_000_000], "strategies": ["joint"], "name": name}
    study.write_text(json.dumps(fields))
    run_locally(study, tmp_path / "out", workers=1)
    assert write_runs(tmp_path / "out") == 1
    (run,) = read_plan_file(tmp_path / "out").runs
    records = inspect(tmp_path / "out", run.key)
    (begun,) = (record["run"] for record in records if record["type"] == "run")
    assert not set(begun["project"]) & set("/\\#?%:")
    config = begun["config"]["update"]
    assert config["study"] == name


def test_what_wandb_refuses_is_one_line(finished: Path, asr_scaling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.run.wandb_tracker.project_name", lambda study: "a/b:c")
    found = asr_scaling("track", finished)
    assert found.returncode == 2
    assert "error: wandb refuses run" in found.stderr
    assert "Traceback" not in found.stderr
