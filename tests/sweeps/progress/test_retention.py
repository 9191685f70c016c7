import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from local_run import run_locally
from node_results import node_result
from small_study import StudyWriter
from typer.testing import CliRunner

from scaling.cli import app
from scaling.errors import InputError
from scaling.ledger.checkpoints import checkpoint_of, free, is_freed
from scaling.ledger.ledger import Attempt, Ledger, LostLease
from scaling.ledger.plan_file import read_plan_file
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.progress import retention
from sweeps.progress.retention import Quota, collect_garbage


@pytest.fixture
def finished(write_study: StudyWriter, tmp_path: Path) -> Path:
    run_locally(write_study(strategies=["joint"]), tmp_path / "out", workers=2)
    return tmp_path / "out"


def gc(*arguments: Any) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["gc", *map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return dict(json.loads(result.stdout))


def table(folder: Path) -> str:
    return (folder / "runs.jsonl").read_text()


def test_what_ends_a_run_and_the_furthest_of_a_trunk_stay_and_the_rest_goes(finished: Path) -> None:
    would = gc(finished, "--dry-run")
    assert len(would["checkpoints"]) == 2  # of three trunk positions the furthest stays
    ledger = read_plan_file(finished).ledger
    places = {key: finished / str(checkpoint_of(ledger, key)) for key in read_plan_file(finished).nodes}
    assert all(place.is_dir() for place in places.values())
    assert gc(finished)["checkpoints"] == would["checkpoints"]
    gone = {key for key, place in places.items() if not place.exists()}
    assert gone == set(would["checkpoints"])
    assert would["checkpoint_bytes"] == sum(1000 for _ in gone)
    assert gc(finished)["checkpoints"] == []


def test_results_and_tables_outlive_their_checkpoints(write_study: StudyWriter, finished: Path) -> None:
    before = table(finished)
    gc(finished)
    assert run_locally(write_study(strategies=["joint"]), finished, workers=1).exit_code == 0
    assert table(finished) == before
    assert not list(finished.glob("stages/*/attempts/0002"))


def test_a_study_grown_at_its_end_goes_on_from_what_stayed(write_study: StudyWriter, finished: Path) -> None:
    gc(finished)
    run_locally(write_study(strategies=["joint"], budgets_flops=[16_000_000_000]), finished, workers=1)
    assert not list(finished.glob("stages/*/former.json"))


def test_a_study_grown_within_trains_freed_nodes_again_and_no_old_row_changes(
    write_study: StudyWriter, finished: Path
) -> None:
    before = table(finished).splitlines()
    gc(finished)
    grown = write_study(strategies=["joint"], budgets_flops=[2e9, 3e9, 4e9, 8e9])
    ledger = Ledger(finished)
    prepared = prepare(str(grown), [], ledger)
    again = [key for key in prepared.plan.nodes if is_freed(ledger, key) and key not in prepared.done]
    assert len(again) == 1  # the trunk at 2e9, from which the new one goes on; its price is in the plan
    assert run_locally(grown, finished, workers=2).exit_code == 0
    after = table(finished).splitlines()
    assert len(after) == 4
    for old in map(json.loads, before):
        (new,) = (row for row in map(json.loads, after) if row["key"] == old["key"])
        assert new["seconds"] == old["seconds"]
        assert new["cer"] == old["cer"]
    assert checkpoint_of(ledger, again[0]) == f"stages/{again[0]}/attempts/0002/final"


def test_a_lost_checkpoint_is_made_again_where_a_grown_study_starts_from_it(
    write_study: StudyWriter, finished: Path
) -> None:
    before, ledger = table(finished).splitlines(), Ledger(finished)
    lost = [place for key in read_plan_file(finished).nodes if (place := checkpoint_of(ledger, key)) is not None]
    for place in lost:
        shutil.rmtree(finished / place)
    grown = write_study(strategies=["joint"], budgets_flops=[2e9, 3e9, 4e9, 8e9])
    outcome = run_locally(grown, finished, workers=1)
    assert outcome.exit_code == 0
    after = [json.loads(line) for line in table(finished).splitlines()]
    assert [row["key"] for row in after if row["budget_flops"] != 3e9] == [json.loads(row)["key"] for row in before]
    assert len(list(finished.glob("stages/*/former.json"))) == 1
    keys = {json.loads(row)["key"] for row in before}
    assert {run.run for run in outcome.unusable} == keys  # their rows stand, and nothing needed them
    assert str(finished) in outcome.unusable[0].cause
    result = CliRunner().invoke(app, ["status", str(finished)])
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("unusable")] == [
        run.run for run in outcome.unusable
    ]


def test_a_node_that_somebody_has_just_begun_to_need_is_not_freed(finished: Path) -> None:
    ledger, (key, *_) = Ledger(finished), read_plan_file(finished).nodes
    assert free(ledger, [key], lambda: {key}) == []
    assert not is_freed(ledger, key)
    assert (finished / str(checkpoint_of(ledger, key))).is_dir()


def test_what_interrupted_attempts_left_goes_but_never_the_newest_state_of_an_unfinished_node(
    write_study: StudyWriter, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ledger = Ledger(out)
    prepared = prepare(str(write_study(strategies=["joint"])), [], ledger)
    plan_file = write_plan_file(prepared.study, prepared.plan, out, ledger)
    attempt = ledger.claim(plan_file.nodes[0], session="s")
    assert attempt is not None
    for steps in (10, 20, 30):
        checkpoint = attempt.folder / f"checkpoint-{steps:09d}"
        checkpoint.mkdir()
        if steps < 30:
            (checkpoint / "progress.json").write_text("{}")
    torn = ledger.folder(attempt.key) / ".result.json.7.7"
    torn.write_text("{")
    os.utime(torn, (time.time() - 7200, time.time() - 7200))
    collect_garbage(ledger)
    assert len(list(attempt.folder.glob("checkpoint-*"))) == 3  # its worker lives
    assert not torn.exists()
    attempt.release()
    collect_garbage(ledger)
    assert [path.name for path in attempt.folder.glob("checkpoint-*")] == ["checkpoint-000000020"]
    (attempt.folder / "final").mkdir()
    collect_garbage(ledger)
    assert list(attempt.folder.glob("checkpoint-*")), "the final state is not complete, and goes"
    (attempt.folder / "final").mkdir()
    (attempt.folder / "final" / "progress.json").write_text("{}")
    collect_garbage(ledger)
    assert (attempt.folder / "final").is_dir()
    assert not list(attempt.folder.glob("checkpoint-*"))


@pytest.fixture
def begun(write_study: StudyWriter, tmp_path: Path) -> Attempt:
    """A first attempt at the first node of a study, by this process: a checkpoint, and a final one half-written."""
    ledger = Ledger(tmp_path / "out")
    prepared = prepare(str(write_study(strategies=["joint"])), [], ledger)
    plan_file = write_plan_file(prepared.study, prepared.plan, tmp_path / "out", ledger)
    attempt = ledger.claim(plan_file.nodes[0], session="s")
    assert attempt is not None
    for name in ("checkpoint-000000010", "checkpoint-000000020"):
        (attempt.folder / name).mkdir()
        (attempt.folder / name / "progress.json").write_text("{}")
    (attempt.folder / "final").mkdir()
    return attempt


def checkpoints(attempt: Attempt) -> list[str]:
    return sorted(path.name for path in attempt.folder.iterdir() if path.is_dir())


@pytest.mark.parametrize("seconds", [-7200.0, -60.0, 60.0, 7200.0])
def test_a_clock_that_is_wrong_frees_nothing_of_a_live_worker_and_shows_it_at_work(
    begun: Attempt, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    written = begun.ledger.folder(begun.key) / ".result.json.7.7"
    written.write_text("{")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)
    freed = collect_garbage(begun.ledger)
    assert (freed.nodes, freed.leftovers) == ((), 0)
    assert checkpoints(begun) == ["checkpoint-000000010", "checkpoint-000000020", "final"]
    assert written.exists()
    assert begun.held()
    begun.commit(node_result(checkpoint="attempts/0001/final"))


def elsewhere_and_silent(attempt: Attempt) -> None:
    """Let the attempt look like one of another machine whose worker has stopped."""
    lease = attempt.folder / "lease.json"
    lease.write_text(json.dumps(json.loads(lease.read_text()) | {"host": "elsewhere"}))
    os.utime(attempt.heartbeat, (time.time() - 60, time.time() - 60))


def test_a_silent_worker_s_files_go_only_after_its_heart_was_seen_standing_still(
    begun: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere_and_silent(begun)
    assert collect_garbage(begun.ledger).leftovers == 0
    monkeypatch.setattr("scaling.ledger.lease.STILL_SECONDS", 0.05)
    monkeypatch.setattr(retention, "STILL_SECONDS", 0.1)
    assert collect_garbage(begun.ledger, patient=True).leftovers == 1
    assert checkpoints(begun) == ["checkpoint-000000020", "final"]  # it might be about to commit this one
    with pytest.raises(LostLease):  # it wakes up, and gc has taken its node
        begun.commit(node_result(checkpoint="attempts/0001/final"))
    again = begun.ledger.claim(begun.key, session="t")
    assert again is not None
    assert again.number == 3


def test_a_node_whose_failure_is_final_is_cleared_without_a_new_attempt(begun: Attempt) -> None:
    begun.fail("diverged", "loss nan", session="s")
    assert collect_garbage(begun.ledger).leftovers == 2
    assert begun.ledger.attempts(begun.key) == [begun]


def test_over_its_quota_a_run_frees_what_it_may_and_then_stops_with_a_word(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "QUOTA_SECONDS", 0.0)
    ledger = Ledger(finished)
    used = ledger.files.bytes_of("stages")
    Quota(ledger, (used + 1) / 1e9).enforce()
    assert gc(finished, "--dry-run")["checkpoints"]
    Quota(ledger, (used - 1000) / 1e9).enforce()  # two checkpoints of 1000 bytes are free to go
    assert not gc(finished, "--dry-run")["checkpoints"]
    with pytest.raises(InputError, match=r"is over disk_quota_gb: 1e-06; what was trained is kept"):
        Quota(ledger, 1e-6).enforce()


def test_a_folder_without_a_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ledger here"):
        collect_garbage(Ledger(tmp_path))
