"""The table of a study, where several launchers write it."""

import json
from pathlib import Path

import pytest
from local_run import run_locally
from small_study import StudyWriter

from scaling.ledger.plan_file import read_plan_file
from sweeps.progress import results_table
from sweeps.progress.results_table import Collector


def budgets(folder: Path) -> list[float]:
    return [json.loads(line)["budget_flops"] for line in (folder / "runs.jsonl").read_text().splitlines()]


def test_a_launcher_that_slept_while_the_study_was_grown_writes_the_grown_table(
    write_study: StudyWriter, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_locally(write_study(strategies=["joint"], budgets_flops=[2e9]), out, workers=1)
    asleep = Collector(read_plan_file(out))
    run_locally(write_study(strategies=["joint"], budgets_flops=[2e9, 4e9, 8e9]), out, workers=1)
    assert [row.budget_flops for row in asleep.collect()] == [2e9, 4e9, 8e9]
    assert budgets(out) == [2e9, 4e9, 8e9]


def test_so_does_one_that_slept_in_the_middle_of_writing(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run_locally(write_study(strategies=["joint"], budgets_flops=[2e9]), out, workers=1)
    asleep, write = Collector(read_plan_file(out)), results_table.write_text_atomically

    def write_after_a_sleep(path: Path, text: str) -> None:
        monkeypatch.setattr(results_table, "write_text_atomically", write)
        run_locally(write_study(strategies=["joint"], budgets_flops=[2e9, 4e9, 8e9]), out, workers=1)
        assert budgets(out) == [2e9, 4e9, 8e9]
        write(path, text)

    monkeypatch.setattr(results_table, "write_text_atomically", write_after_a_sleep)
    asleep.collect()
    assert budgets(out) == [2e9, 4e9, 8e9]
