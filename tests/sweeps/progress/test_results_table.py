"""The table of a study, where several launchers write it."""

import json
import time
from pathlib import Path

import pytest
from local_run import run_locally
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from sweeps.plan.prepare import prepare
from sweeps.progress import results_table
from sweeps.progress.results_table import Collector
from sweeps.run.run import train


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


def test_one_that_slept_before_it_wrote_its_plan_replaces_nothing(write_study: StudyWriter, tmp_path: Path) -> None:
    out, ledger = tmp_path / "out", Ledger(tmp_path / "out")
    small = prepare(str(write_study(strategies=["joint"], budgets_flops=[2e9])), [], ledger)
    time.sleep(0.02)  # the kernel stamps files by a clock that stands still for up to 10 ms
    run_locally(write_study(strategies=["joint"], budgets_flops=[2e9, 4e9, 8e9]), out, workers=1)
    before = {path: path.read_text() for path in out.glob("*.*")}
    with pytest.raises(InputError, match=r"plan\.json: another command has planned 2 runs here that this one lacks"):
        train(small, out, ledger, 1, worker="true")
    assert {path: path.read_text() for path in out.glob("*.*")} == before
    again = prepare(str(write_study(strategies=["joint"], budgets_flops=[2e9])), [], ledger)
    assert [row.budget_flops for row in train(again, out, ledger, 1, worker="true").rows] == [2e9]
