"""Tables of a study that was trained in parts become the table of the whole, or are refused by file and line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.records import RUNS_FILE
from sweeps.finished.merge_tables import merge_tables
from sweeps.plan.prepare import prepare
from sweeps.run.simulate import simulate_runs, simulated_ledger


def simulated(study: Path, folder: Path, *changes: str) -> Path:
    simulate_runs(prepare(str(study), list(changes), None), folder, simulated_ledger(folder))
    return folder


@pytest.fixture
def parts(write_study: StudyWriter, tmp_path: Path) -> list[Path]:
    """Tables of one seed each, apart from the folders of the studies."""
    study, tables = write_study(), []
    for seed in (1, 0):
        folder = simulated(study, tmp_path / f"ledger{seed}", f"seeds=[{seed}]")
        tables.append(tmp_path / f"seed{seed}.jsonl")
        tables[-1].write_bytes((folder / RUNS_FILE).read_bytes())
    return tables


def rows_of(table: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in table.read_text().splitlines()]


def change(table: Path, line: int, **values: Any) -> None:
    rows = rows_of(table)
    rows[line - 1] |= values
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_parts_of_one_seed_make_the_table_of_all_seeds(
    parts: list[Path], write_study: StudyWriter, tmp_path: Path
) -> None:
    merge_tables(parts, tmp_path / "merged")
    whole = simulated(write_study(seeds=[0, 1]), tmp_path / "whole")
    lines = (tmp_path / "merged" / RUNS_FILE).read_text().splitlines()
    assert len(lines) == 12
    assert sorted(lines) == sorted((whole / RUNS_FILE).read_text().splitlines())


def test_the_order_of_the_parts_and_what_was_merged_before_change_nothing(parts: list[Path], tmp_path: Path) -> None:
    merge_tables(parts, tmp_path / "one")
    merge_tables(parts[:1], tmp_path / "two")
    merge_tables([*parts[::-1], tmp_path / "two"], tmp_path / "two")
    assert (tmp_path / "one" / RUNS_FILE).read_bytes() == (tmp_path / "two" / RUNS_FILE).read_bytes()


def test_the_verbs_read_the_merged_table(parts: list[Path], tmp_path: Path, asr_scaling: Callable[..., Any]) -> None:
    out = tmp_path / "merged"
    said = json.loads(asr_scaling("merge", *parts, "--out", out, "--json").stdout)
    assert said == {"table": str(out / RUNS_FILE), "runs": 12}
    fits = json.loads(asr_scaling("fit", out, "--json").stdout)["fits"]
    assert [(fit["strategy"], fit["n"]) for fit in fits] == [("efin", 3), ("joint", 3)]
    assert "one_seed" not in json.dumps(fits)
    registered = asr_scaling("forecast", out, "--register", "--flops", "3e10", "--json")
    assert [one["runs"] for one in json.loads(registered.stdout)] == [12, 12]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cer": 0.5}, r"seed0.jsonl:1: run \w+ stands in .*/copy.jsonl:1 with other values \(cer\): cer is 0.5 and"),
        ({"key": "other"}, r"seed0.jsonl:1: efin .* at 2e\+09 FLOPs with seed 0 stands in .*copy.jsonl:1, too, under"),
    ],
)
def test_a_run_that_two_parts_tell_differently_is_refused(
    parts: list[Path], tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_text(parts[1].read_text())
    change(parts[1], 1, **values)
    with pytest.raises(InputError, match=message):
        merge_tables([copy, parts[1]], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_run_that_was_trained_again_with_the_same_result_stays_as_it_first_finished(
    parts: list[Path], tmp_path: Path
) -> None:
    change(parts[1], 1, finished=1e9)
    merge_tables(parts, tmp_path / "merged")
    before = (tmp_path / "merged" / RUNS_FILE).read_bytes()
    row, again = rows_of(parts[1])[0], tmp_path / "again.jsonl"
    again.write_text(parts[1].read_text())
    slower, spent = [stage | {"seconds": 99.0} for stage in row["stages"]], row["spent"] | {"seconds": 99.0}
    change(again, 1, seconds=99.0, stages=slower, spent=spent, finished=2e9, provenance={"threads": 7})
    merge_tables([again, *parts], tmp_path / "merged")
    assert (tmp_path / "merged" / RUNS_FILE).read_bytes() == before
    change(again, 1, finished=5e8)
    (earlier,) = (one for one in merge_tables([*parts, again], tmp_path / "merged") if one["key"] == row["key"])
    assert (earlier["seconds"], earlier["finished"]) == (99.0, 5e8)
    change(again, 1, spent=spent | {"flops": 7})
    with pytest.raises(InputError, match=r"again.jsonl:1: run \w+ stands in .* with other values \(spent\)"):
        merge_tables([*parts, again], tmp_path / "merged")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"train_hours": 9.0},
            r"seed0.jsonl:1: train_hours is 9.0, and \S+ in .*seed1.jsonl:1: .* --differ, such as train_hours",
        ),
        ({"test_digest": "abc"}, r"seed0.jsonl:1: test_digest is 'abc', and"),
        ({"scoring": "mandarin"}, r"seed0.jsonl:1: scoring is 'mandarin', and 'plain' in"),
        ({"cer": "low"}, r"seed0.jsonl:1: cer is 'low'; expected a number"),
        ({"cer": float("nan")}, r"seed0.jsonl:1: cannot be written again"),
        ({"seed": None}, r"seed0.jsonl:1: seed is None; expected a whole number"),
    ],
)
def test_what_was_not_measured_alike_is_refused_by_file_line_and_column(
    parts: list[Path], tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    change(parts[1], 1, **values)
    with pytest.raises(InputError, match=message):
        merge_tables(parts, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_seeds_of_a_point_that_were_trained_by_another_recipe_are_refused(parts: list[Path], tmp_path: Path) -> None:
    stages = rows_of(parts[1])[0]["stages"]
    stages[0]["trains"] = dict.fromkeys(stages[0]["trains"], 0.5)
    change(parts[1], 1, stages=stages)
    with pytest.raises(InputError, match=r"seed0.jsonl:1: efin .* at 2e\+09 FLOPs: trains of its stages is \[{.*0.5"):
        merge_tables(parts, tmp_path / "merged")


def test_a_named_column_tells_parts_apart_that_differ_on_purpose(parts: list[Path], tmp_path: Path) -> None:
    other = [{**row, "study": "noisy", "key": f"n{row['key']}", "test_digest": "abc"} for row in rows_of(parts[0])]
    noisy = tmp_path / "noisy.jsonl"
    noisy.write_text("".join(json.dumps(row) + "\n" for row in other))
    with pytest.raises(InputError, match=r"noisy.jsonl:1: test_digest is 'abc'"):
        merge_tables([*parts, noisy], tmp_path / "merged")
    assert len(merge_tables([*parts, noisy], tmp_path / "merged", ["study"])) == 18
    with pytest.raises(InputError, match="--differ: no row has a column 'stuy'; did you mean 'study'"):
        merge_tables([*parts, noisy], tmp_path / "merged", ["stuy"])


def test_diverged_runs_stay(parts: list[Path], tmp_path: Path) -> None:
    change(parts[1], 1, status="diverged", cer=None, dev_cer=None, test_digest=None, cause="loss is NaN")
    merged = merge_tables(parts, tmp_path / "merged")
    assert [row["cause"] for row in merged if row["status"] == "diverged"] == ["loss is NaN"]


def test_no_run_is_lost(parts: list[Path], tmp_path: Path) -> None:
    merge_tables(parts, tmp_path / "merged")
    before = (tmp_path / "merged" / RUNS_FILE).read_bytes()
    with pytest.raises(InputError, match=r"merged/runs.jsonl:1: run \w+ stands in no part, and would be lost"):
        merge_tables(parts[:1], tmp_path / "merged")
    assert (tmp_path / "merged" / RUNS_FILE).read_bytes() == before


def test_the_folder_of_a_study_keeps_its_own_table(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plan.json: a study writes the table here"):
        merge_tables(parts, tmp_path / "ledger0")


def test_a_part_that_is_not_there_is_named(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seed7.jsonl: no such file"):
        merge_tables([*parts, tmp_path / "seed7.jsonl"], tmp_path / "merged")
