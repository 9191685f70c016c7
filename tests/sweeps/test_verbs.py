"""The verbs as users meet them: one line of error, exit code 2, nothing half-written."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from local_run import run_locally
from small_study import StudyWriter

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("strategies=[efni]", "strategies.0: 'efni'; expected the name of a preset; did you mean 'efin'?"),
        ("budgets_flops=['1e12']", "budgets_flops.0: '1e12' is text; expected a number, written without quotes"),
        ("budgets_flops=[1000]", "and one step takes"),
        ("data.dev=missing.jsonl", "missing.jsonl: no such file or folder; expected a corpus"),
        ("sedes=[0]", "sedes: unknown field; did you mean 'seeds'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    asr_scaling: Command, verb: str, override: str, message: str, write_study: StudyWriter, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    arguments = [verb, write_study(), "--set", override, *(("--out", folder) if verb == "run" else ())]
    done = asr_scaling(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not folder.exists()


def test_test_audio_in_training_is_exit_code_2(
    asr_scaling: Command, write_study: StudyWriter, surroundings: Path, tmp_path: Path
) -> None:
    done = asr_scaling("plan", write_study(), "--set", f"data.test.clean={surroundings / 'train.jsonl'}")
    assert done.returncode == 2
    assert "80 of 80 utterances are in the training data too" in done.stderr


def test_plan_prints_every_run_with_its_price(asr_scaling: Command, write_study: StudyWriter, tmp_path: Path) -> None:
    study = write_study()
    report = json.loads(asr_scaling("plan", study, "--json").stdout)
    assert (report["n_runs"], len(report["runs"]), report["n_nodes"], len(report["nodes"])) == (6, 6, 24, 24)
    assert report["charged_flops"] == 2 * (2 + 4 + 8) * 10**9
    assert report["spent_flops"] == sum(node["flops"] for node in report["nodes"]) < report["charged_flops"]
    assert report["speed"]["source"].startswith("assumption")
    training = report["speed"]["training"]
    products = report["spent_flops"] / training["flops_per_second"]
    steps = (3600 * report["training_hours"] - products) / training["step_seconds"]
    assert 0 < steps < report["steps"]  # those of shared trunks are taken once
    decoded = report["decoding_flops"] / report["speed"]["decoding_flops_per_second"] / 3600
    assert report["worker_hours"] == pytest.approx(report["training_hours"] + decoded)  # too short for looks at dev
    lines = asr_scaling("plan", study).stdout.splitlines()
    rows = [line.split()[0] for line in lines if line.startswith(("efin ", "joint "))]
    assert rows == 3 * ["efin"] + 3 * ["joint"]


def test_plan_counts_what_an_earlier_run_left_and_takes_its_measured_speed(
    asr_scaling: Command, write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_SECONDS", "0.01")
    run_locally(write_study(strategies=["joint"]), tmp_path / "out", workers=1)
    report = json.loads(asr_scaling("plan", write_study(), "--out", tmp_path / "out", "--json").stdout)
    assert (report["reused"], report["new"]) == ({"runs": 3, "nodes": 6}, {"runs": 3, "nodes": 18})
    assert report["speed"]["source"] == "measured on 6 finished nodes of this study"
    elsewhere = asr_scaling("plan", write_study(strategies=["frozen_encoder"]), "--out", tmp_path / "out", "--json")
    assert json.loads(elsewhere.stdout)["speed"]["source"] == "measured on 6 finished nodes of other studies"
    monkeypatch.setenv("STAND_IN_SECONDS", "0.02")
    run_locally(write_study(strategies=["joint"]), tmp_path / "slower", workers=1)
    slower = json.loads(asr_scaling("plan", write_study(), "--out", tmp_path / "slower", "--json").stdout)
    assert slower["speed"]["training"]["scale"] == pytest.approx(2 * report["speed"]["training"]["scale"])
    assert slower["training_hours"] == pytest.approx(2 * report["training_hours"])
    assert "3 reused, 3 new" in asr_scaling("plan", write_study(), "--out", tmp_path / "out").stdout


def test_run_prints_its_table_and_status_agrees(asr_scaling: Command, write_study: StudyWriter, tmp_path: Path) -> None:
    done = asr_scaling("run", write_study(), "--simulate", "--out", tmp_path / "out", "--json")
    assert done.returncode == 0
    assert "runs: 0 reused, 6 new" in done.stderr
    assert [row["status"] for row in json.loads(done.stdout)["rows"]] == ["ok"] * 6
    state = json.loads(asr_scaling("status", tmp_path / "out", "--json").stdout)
    assert (state["runs"]["done"], state["nodes"]["done"], state["remaining_flops"]) == (6, 24, 0)
    again = asr_scaling("run", write_study(), "--simulate", "--out", tmp_path / "out")
    assert "runs: 6 reused, 0 new" in again.stderr


def test_simulated_results_never_pass_for_trained_ones(
    asr_scaling: Command, write_study: StudyWriter, tmp_path: Path
) -> None:
    asr_scaling("run", write_study(), "--simulate", "--out", tmp_path / "out")
    report = json.loads(asr_scaling("plan", write_study(), "--out", tmp_path / "out", "--json").stdout)
    assert report["reused"] == {"runs": 0, "nodes": 0}


def test_status_of_a_folder_without_study_is_exit_code_2(asr_scaling: Command, tmp_path: Path) -> None:
    done = asr_scaling("status", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no plan.json" in done.stderr


def test_a_folder_that_cannot_be_written_is_exit_code_2(
    asr_scaling: Command, write_study: StudyWriter, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file is in the way")
    done = asr_scaling("run", write_study(), "--simulate", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path / 'out'}: is no folder, and nothing can be written there" in done.stderr


def test_a_study_s_folder_may_be_moved(asr_scaling: Command, write_study: StudyWriter, tmp_path: Path) -> None:
    asr_scaling("run", write_study(), "--simulate", "--out", tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    state = json.loads(asr_scaling("status", tmp_path / "moved", "--json").stdout)
    assert state["runs"]["done"] == 6
