"""TensorBoard as a tracker: curves and descriptions as its own reader finds them, and no more than that."""

import getpass
import json
import os
import shutil
import socket
from pathlib import Path

import pytest
from local_run import run_locally
from small_study import study_fields

from scaling.ledger.plan_file import read_plan_file
from scaling.ledger.run_curve import curve_points
from scaling.spec import Precision
from sweeps.run.tensorboard_tracker import FLOPS_A_STEP, FOLDER, folder_name
from sweeps.run.tracking import end_tracker, start_tracker, write_runs

pytest.importorskip("tensorboard", reason="the tracker is an extra")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def trained_once(surroundings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study of four runs, under a name with characters that trackers dislike."""
    folder = tmp_path_factory.mktemp("finished")
    study = folder / "study.yaml"
    fields = study_fields(surroundings) | {"budgets_flops": [2_000_000_000, 4_000_000_000], "name": "exp:1?"}
    study.write_text(json.dumps(fields))
    run_locally(study, folder / "out", workers=2)
    return folder / "out"


@pytest.fixture
def finished(trained_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_once, tmp_path / "out"))


def read(folder: Path, name: str) -> dict[str, list[tuple[int, float]]]:
    """The scalars of a run by tag, as TensorBoard's own reader finds them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / FOLDER / name), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_each_run_is_a_folder_with_its_curve_over_flops(finished: Path) -> None:
    assert write_runs(finished, "tensorboard") == 4
    plan_file = read_plan_file(finished)
    for run in plan_file.runs:
        scalars, points = read(finished, folder_name(run)), list(curve_points(plan_file, run))
        for tag in ("loss", "cer", "dev_cer"):
            expected = [(round(p["flops"] / FLOPS_A_STEP), p[tag]) for p in points if tag in p]
            assert [step for step, _ in scalars[tag]] == [step for step, _ in expected]
            assert [value for _, value in scalars[tag]] == pytest.approx([value for _, value in expected], rel=1e-6)


def test_writing_twice_gives_the_same_runs(finished: Path) -> None:
    write_runs(finished, "tensorboard")
    first = [read(finished, folder_name(run)) for run in read_plan_file(finished).runs]
    write_runs(finished, "tensorboard")
    assert [read(finished, folder_name(run)) for run in read_plan_file(finished).runs] == first
    assert len(list((finished / FOLDER).iterdir())) == 4


def test_the_description_is_there_and_nothing_of_the_machine(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host-of-secrets")
    write_runs(finished, "tensorboard")
    written = b"".join(path.read_bytes() for path in (finished / FOLDER).rglob("*tfevents*"))
    for known in ("strategy", "efin", "budget_flops", Precision.FP32, "exp:1?"):
        assert known.encode() in written, known
    for secret in (
        "secret words",
        str(tmp_path),
        str(Path.cwd()),
        ".jsonl",
        getpass.getuser() * (getpass.getuser() != "root"),
    ):
        assert not secret or secret.encode() not in written, secret
    names = [path.name for path in (finished / FOLDER).rglob("*tfevents*")]
    assert not [name for name in names if "host-of-secrets" in name]


def test_a_follower_writes_what_a_study_has_and_ends_with_it(finished: Path) -> None:
    process = start_tracker(finished, "tensorboard")
    assert process is not None
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(process.pid, os.SCHED_OTHER, os.sched_param(0))  # a busy machine would starve it here
    end_tracker(process)
    assert process.returncode == 0, (finished / "logs" / "track.log").read_text()
    assert len(list((finished / FOLDER).iterdir())) == 4


def test_the_verb_writes_to_the_named_tracker(finished: Path, asr_scaling) -> None:
    found = asr_scaling("track", finished, "--to", "tensorboard", "--json")
    assert json.loads(found.stdout) == {"runs": 4, "folder": str(finished / "tensorboard")}
    wrong = asr_scaling("track", finished, "--to", "tensorbord")
    assert wrong.returncode == 2
    assert "did you mean 'tensorboard'" in wrong.stderr
