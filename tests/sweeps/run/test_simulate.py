import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_study import StudyWriter

from sweeps.plan.prepare import Prepared, prepare
from sweeps.run.outcome import SweepOutcome
from sweeps.run.simulate import NOISE, PLANTED, planted_cer, planted_law, simulate_runs, simulated_ledger


def simulate(study: Path, folder: Path) -> tuple[Prepared, SweepOutcome]:
    ledger = simulated_ledger(folder)
    prepared = prepare(str(study), [], ledger)
    return prepared, simulate_runs(prepared, folder, ledger)


def table(folder: Path) -> str:
    return (folder / "runs.jsonl").read_text()


def without_history(rows: str) -> list[Any]:
    """The table without what depends on what the ledger held before, or on time."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in ("seconds", "spent", "provenance")}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return [strip(json.loads(line)) for line in rows.splitlines()]


def test_a_row_says_what_the_run_was_and_what_came_of_it(write_study: StudyWriter, tmp_path: Path) -> None:
    prepared, outcome = simulate(write_study(), tmp_path / "out")
    rows = [json.loads(line) for line in table(tmp_path / "out").splitlines()]
    assert outcome.exit_code == 0
    assert rows == [row.as_json() for row in outcome.rows]
    assert [row["key"] for row in rows] == [run.key for run in prepared.plan.runs]
    row = rows[0]
    assert (row["strategy"], row["encoder"], row["llm"], row["status"]) == ("efin", "encoder", "llm", "ok")
    assert row["flops"] == row["budget_flops"] == sum(stage["flops"] for stage in row["stages"]) == 2_000_000_000
    assert [stage["name"] for stage in row["stages"]] == ["encoder", "projector", "projector_lora"]
    assert row["cer"] == row["errors"] / row["ref_chars"] == row["test"]["clean"]["cer"]
    assert row["n_utterances"] == 8
    model = prepared.study.models[0]
    assert (row["llm_params"], row["encoder_params"]) == (model.llm.dims.params, model.encoder.dims.encoder_params)
    assert row["unique_audio_seconds"] <= row["audio_seconds"]
    assert row["epochs"] == pytest.approx(row["audio_seconds"] / 3600 / row["train_hours"])


def test_the_error_is_the_planted_law_s_within_its_noise(write_study: StudyWriter, tmp_path: Path) -> None:
    prepared, _ = simulate(write_study(seeds=list(range(40))), tmp_path / "out")
    params = 44_000
    ratios = [
        math.log(planted_cer(run.spec, params) / planted_law(run.spec).cer(run.spec.budget_flops / (1e6 * params)))
        for run in prepared.plan.runs
        if run.spec.budget_flops == 8_000_000_000
    ]
    mean = sum(ratios) / len(ratios)
    spread = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / (len(ratios) - 1))
    assert abs(mean) < 4 * NOISE / math.sqrt(len(ratios))
    assert 0.7 * NOISE < spread < 1.4 * NOISE


def test_the_planted_curves_cross() -> None:
    def best(x: float) -> str:
        return min(PLANTED, key=lambda name: PLANTED[name].cer(x))

    assert best(0.1) == "frozen_encoder"
    assert best(1.0) not in ("frozen_encoder", "projector_only")
    assert len({best(10**exponent) for exponent in (-1, 0, 1, 2)}) >= 3


def test_the_table_is_a_function_of_the_study_alone(write_study: StudyWriter, tmp_path: Path) -> None:
    study = write_study(seeds=[0, 1])
    simulate(study, tmp_path / "one")
    simulate(study, tmp_path / "two")
    assert table(tmp_path / "one") == table(tmp_path / "two")


def test_a_study_grown_by_a_budget_reuses_what_exists(write_study: StudyWriter, tmp_path: Path) -> None:
    whole, _ = simulate(write_study(), tmp_path / "whole")
    simulate(write_study(budgets_flops=[2_000_000_000, 8_000_000_000]), tmp_path / "grown")
    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "grown").glob("simulated/stages/*/result.json")}
    grown, _ = simulate(write_study(), tmp_path / "grown")
    assert (grown.reused_runs, len(grown.plan.runs) - grown.reused_runs) == (4, 2)
    assert len(grown.done) == len(results) == 16
    assert {path: path.stat().st_mtime_ns for path in results} == results
    assert without_history(table(tmp_path / "grown")) == without_history(table(tmp_path / "whole"))
    assert whole.plan.nodes.keys() == grown.plan.nodes.keys()


def ten_thousand_runs(write_study: StudyWriter) -> Path:
    return write_study(
        budgets_flops=[10**11 * (1 + number) for number in range(25)],
        strategies=["efin", "joint", "frozen_encoder", "projector_only"],
        seeds=list(range(100)),
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's own peak memory from /proc")
def test_ten_thousand_runs_are_planned_within_500_megabytes(write_study: StudyWriter) -> None:
    code = (
        "import sys; from pathlib import Path; from sweeps.plan.prepare import prepare;"
        "print(len(prepare(sys.argv[1], [], None).plan.runs));"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    command = [sys.executable, "-c", code, str(ten_thousand_runs(write_study))]
    runs, kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(runs) == 10_000
    assert int(kilobytes) < 500_000


@pytest.mark.slow
def test_ten_thousand_runs_are_simulated_and_collected(write_study: StudyWriter, tmp_path: Path) -> None:
    _, outcome = simulate(ten_thousand_runs(write_study), tmp_path / "out")
    assert len(outcome.rows) == 10_000
