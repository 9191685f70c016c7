import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from local_run import run_locally
from processes import alive, leases, processes_of, table, wait_until
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from sweeps.launchers import local_workers, worker_command
from sweeps.plan.prepare import prepare
from sweeps.progress.status import State, survey_study
from sweeps.run.run import allow_diverged_retry, train

NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")


def launch(study: Path, folder: Path, workers: int = 2, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("local_run.py")), str(study), str(folder), str(workers)],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(params=["", pytest.param("yes", marks=NEEDS_LINUX)], ids=["executed", "forked"])
def way_of_starting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the stand-ins are started."""
    monkeypatch.setenv("STAND_IN_FORKED", request.param)


FORKED_EVERY_DAY = pytest.mark.parametrize(
    "way_of_starting",
    ["yes", pytest.param("", marks=pytest.mark.slow)] if sys.platform == "linux" else [""],
    ids=["forked", "executed"] if sys.platform == "linux" else ["executed"],
    indirect=True,
)
"""What the launcher does alike for both is tested of the usual way; a worker's death, a signal and kill -9 of both."""


def test_two_workers_share_the_nodes_and_the_table_holds_every_run(write_study: StudyWriter, tmp_path: Path) -> None:
    outcome = run_locally(write_study(seeds=[0, 1]), tmp_path / "out", workers=2)
    assert outcome.exit_code == 0
    assert [row["status"] for row in table(tmp_path / "out")] == ["ok"] * 12
    assert all(path.name == "0001" for path in (tmp_path / "out").glob("stages/*/attempts/*"))
    utterances = tmp_path / "out" / "utterances" / f"{outcome.rows[0].key}.jsonl"
    assert json.loads(utterances.read_text())["ref"] == "secret words"


@FORKED_EVERY_DAY
@pytest.mark.usefixtures("way_of_starting")
def test_the_launcher_says_that_workers_start_and_then_that_they_work(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_SECONDS", "0.5")
    monkeypatch.setattr("sweeps.run.monitor.UPDATE_SECONDS", 0.0)
    run_locally(write_study(budgets_flops=[2_000_000_000]), tmp_path / "out", workers=2)
    lines = [line for line in capsys.readouterr().err.splitlines() if "runs, " in line]
    assert "0/2 runs, 2 workers starting, 0 running, ETA unknown" in lines[0]
    assert "starting" not in lines[-1]
    assert "running, ETA " in lines[-1]
    assert len(lines) <= 3  # each was news, though it was looked many times


def test_the_same_command_again_does_nothing_new(write_study: StudyWriter, tmp_path: Path) -> None:
    study, out = write_study(), tmp_path / "out"
    run_locally(study, out, workers=2)
    first = (out / "runs.jsonl").read_bytes()
    outcome = run_locally(study, out, workers=2)
    assert outcome.exit_code == 0
    assert (out / "runs.jsonl").read_bytes() == first
    assert not list(out.glob("stages/*/attempts/0002"))


def test_a_forecast_goes_on_from_the_study_s_trunk_and_leaves_its_table_alone(
    write_study: StudyWriter, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_locally(write_study(), out, workers=1)
    before = (out / "runs.jsonl").read_bytes()
    study = write_study(budgets_flops=[16_000_000_000], strategies=["joint"])
    outcome = run_locally(study, out / "forecast", workers=1, root=out)
    assert (out / "runs.jsonl").read_bytes() == before
    assert [row.flops for row in outcome.rows] == [16_000_000_000]
    assert outcome.rows[0].spent.flops == 16_000_000_000 - 6_400_000_000  # the trunk of 8e9 was there
    assert not (out / "forecast" / "stages").exists()


def test_one_diverging_stage_blocks_its_descendants_and_nothing_else(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "projector")
    outcome = run_locally(write_study(), tmp_path / "out", workers=2)
    assert outcome.exit_code == 1
    by_strategy = {(row.strategy, row.status) for row in outcome.rows}
    assert by_strategy == {("efin", "diverged"), ("joint", "ok")}
    assert {row.cer for row in outcome.rows if row.status == "diverged"} == {None}
    printed = capsys.readouterr().err
    assert "failed: " in printed
    assert "stage 'projector'" in printed
    assert "diverged: loss nan at step 7" in printed
    assert "blocked: " in printed
    monkeypatch.delenv("STAND_IN_FAILS")
    outcome = run_locally(write_study(), tmp_path / "out", workers=2)  # the same steps would diverge again
    assert outcome.exit_code == 1
    assert [node.state for node in outcome.survey.nodes.values()].count(State.FAILED) == 3
    allow_diverged_retry(read_plan_file(tmp_path / "out"))
    assert run_locally(write_study(), tmp_path / "out", workers=2).exit_code == 0
    assert [row["status"] for row in table(tmp_path / "out")] == ["ok"] * 6


@pytest.mark.usefixtures("way_of_starting")
def test_a_killed_worker_is_noticed_and_replaced_and_the_table_is_the_undisturbed_one(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study()
    run_locally(study, tmp_path / "undisturbed", workers=2)
    hurts = tmp_path / "hurts"
    hurts.touch()
    monkeypatch.setenv("STAND_IN_HURTS", str(hurts))
    monkeypatch.setenv("STAND_IN_ONCE", "1")
    noticed: list[float] = []
    monkeypatch.setattr(local_workers, "log", lambda line: noticed.append(time.time()) if "died" in line else None)
    assert run_locally(study, tmp_path / "hurt", workers=1).exit_code == 0
    (second,) = (tmp_path / "hurt").glob("stages/*/attempts/0002")
    died = second.with_name("0001").joinpath("heartbeat").stat().st_mtime
    assert [moment - died < 2.0 for moment in noticed] == [True]
    assert table(tmp_path / "hurt") == table(tmp_path / "undisturbed")


@FORKED_EVERY_DAY
@pytest.mark.usefixtures("way_of_starting")
def test_a_worker_that_somebody_asks_to_leave_is_started_again_and_has_not_died(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_SECONDS", "0.3")
    out = tmp_path / "out"

    def ask() -> None:
        wait_until(lambda: bool(leases(out)), 20)
        os.kill(leases(out)[0]["pid"], signal.SIGTERM)

    somebody = threading.Thread(target=ask)
    somebody.start()
    assert run_locally(write_study(strategies=["joint"]), out, workers=1).exit_code == 0
    somebody.join()
    printed = capsys.readouterr().err
    assert "worker 0 was asked to leave; starting it again" in printed
    assert "died" not in printed


@FORKED_EVERY_DAY
@pytest.mark.usefixtures("way_of_starting")
def test_a_node_that_kills_every_worker_fails_and_the_others_go_on(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurts = tmp_path / "hurts"
    hurts.touch()
    monkeypatch.setenv("STAND_IN_HURTS", str(hurts))
    monkeypatch.setattr(local_workers, "BACK_OFF_SECONDS", (0.01,))
    study = write_study(budgets_flops=[2_000_000_000], strategies=["joint"])
    outcome = run_locally(study, tmp_path / "out", workers=1)
    assert outcome.exit_code == 1
    causes = [node.cause for node in outcome.survey.nodes.values() if node.state is State.FAILED]
    assert causes == ["error: its worker died 3 times, last: killed by SIGKILL"]


def test_a_worker_that_something_kills_before_it_starts_is_given_up(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_workers, "BACK_OFF_SECONDS", (0.01,))
    program = "import os; print('no memory', flush=True); os.kill(os.getpid(), 9)"
    monkeypatch.setattr("local_run.STAND_IN", [sys.executable, "-c", program])
    assert run_locally(write_study(), tmp_path / "out", workers=1).exit_code == 1
    assert "worker 0 died 6 times in a row (killed by SIGKILL: no memory); given up" in capsys.readouterr().err


def test_a_worker_that_cannot_start_at_all_ends_the_run_at_once_with_its_words(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("local_run.STAND_IN", [sys.executable, "-c", "import no_such_library"])
    words = r"worker \d cannot start \(exit code 1\): ModuleNotFoundError: No module named 'no_such_library'"
    with pytest.raises(InputError, match=words):
        run_locally(write_study(), tmp_path / "out", workers=2)
    assert "again" not in capsys.readouterr().err


def test_a_worker_that_ends_in_error_after_others_have_begun_is_started_again(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    once = tmp_path / "once"
    program = (
        f"import pathlib, runpy, sys, stand_in; sys.argv[0] = 'stand_in'\n"
        f"train, once = stand_in.train, pathlib.Path({str(once)!r})\n"
        f"def fails_once(*arguments):\n"
        f"    if not once.exists(): once.touch(); raise SystemExit(1)\n"
        f"    train(*arguments)\n"
        f"stand_in.train = fails_once; sys.exit(stand_in.main())"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr("local_run.STAND_IN", [sys.executable, "-c", program])
    assert run_locally(write_study(strategies=["joint"]), tmp_path / "out", workers=1).exit_code == 0
    assert "worker 0 died (exit code 1); starting it again" in capsys.readouterr().err


def test_a_user_s_mistake_found_by_a_worker_ends_the_run_with_its_words(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; print('error: no such manifest', file=sys.stderr); sys.exit(2)"
    monkeypatch.setattr("local_run.STAND_IN", [sys.executable, "-c", program])
    with pytest.raises(InputError, match="worker 0: no such manifest"):
        run_locally(write_study(), tmp_path / "out", workers=1)


@pytest.mark.parametrize(
    ("way_of_starting", "number"),
    [
        pytest.param("", signal.SIGTERM, id="executed-SIGTERM"),
        pytest.param("yes", signal.SIGINT, id="forked-SIGINT", marks=NEEDS_LINUX),
        # The launcher handles both signals alike, and passes either on to workers of both kinds alike.
        pytest.param("", signal.SIGINT, id="executed-SIGINT", marks=pytest.mark.slow),
        pytest.param("yes", signal.SIGTERM, id="forked-SIGTERM", marks=[pytest.mark.slow, NEEDS_LINUX]),
    ],
    indirect=["way_of_starting"],
)
@pytest.mark.usefixtures("way_of_starting")
def test_a_signal_to_the_launcher_reaches_the_workers(
    number: signal.Signals, write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    launcher = launch(study, out, STAND_IN_SECONDS="1")
    wait_until(lambda: len(leases(out)) >= 1, 60)
    launcher.send_signal(number)
    assert launcher.wait(20) == 128 + number
    assert not processes_of(out)
    assert survey_study(read_plan_file(out)).in_state(State.RUNNING) == []
    assert run_locally(study, out, workers=2).exit_code == 0


@pytest.mark.usefixtures("way_of_starting")
def test_kill_9_at_any_moment_and_the_same_command_give_the_undisturbed_table(
    write_study: StudyWriter, tmp_path: Path
) -> None:
    study, out = write_study(), tmp_path / "out"
    run_locally(study, tmp_path / "undisturbed", workers=2)
    for finished in (0, 3, 7):
        launcher = launch(study, out, STAND_IN_SECONDS="0.1")
        wait_until(lambda finished=finished: len(list(out.glob("stages/*/result.json"))) >= finished, 60)
        wait_until(lambda: any(alive(lease["pid"]) for lease in leases(out)), 60)
        launcher.kill()
        launcher.wait()
        wait_until(lambda: not processes_of(out), 5)  # nothing outlives it
    assert run_locally(study, out, workers=2).exit_code == 0
    assert table(out) == table(tmp_path / "undisturbed")


@NEEDS_LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_launcher_need_not_wait_for_its_fork_server_to_end(
    number: signal.Signals, write_study: StudyWriter, tmp_path: Path
) -> None:
    out, imports = tmp_path / "out", tmp_path / "imports"
    slow = f"import pathlib, time; pathlib.Path({str(imports)!r}).touch(); time.sleep(60)"
    launcher = launch(write_study(), out, STAND_IN_FORKED="yes", STUB_IMPORT=slow)
    wait_until(imports.exists, 60)
    launcher.send_signal(number)
    assert launcher.wait(20) == (-number if number is signal.SIGKILL else 128 + number)
    wait_until(lambda: not processes_of(out), 5)
    assert leases(out) == []


def test_two_launchers_on_one_folder_share_the_work(write_study: StudyWriter, tmp_path: Path) -> None:
    study, out = write_study(), tmp_path / "out"
    started_launchers = [launch(study, out, workers=1, STAND_IN_SECONDS="0.1") for _ in range(2)]
    assert [launcher.wait(60) for launcher in started_launchers] == [0, 0]
    assert len(table(out)) == 6
    assert len({lease["pid"] for lease in leases(out)}) == 2
    assert not list(out.glob("stages/*/attempts/0002"))


def test_without_the_trainer_s_libraries_the_message_says_what_to_install(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_command, "TRAINER_MODULES", ("no_such_library",))
    prepared = prepare(str(write_study()), [], None)
    with pytest.raises(InputError, match=r"training needs no_such_library: pip install 'asr-scaling\[train\]'"):
        train(prepared, tmp_path / "out", Ledger(tmp_path / "out"), 1)
    assert not (tmp_path / "out").exists()


def test_a_model_without_weights_can_be_planned_but_not_trained(write_study: StudyWriter, tmp_path: Path) -> None:
    study = write_study(models=[{"encoder": "whisper-tiny", "llm": "Qwen2.5-0.5B"}], budgets_flops=[10**15])
    prepared = prepare(str(study), [], None)
    with pytest.raises(InputError, match="whisper-tiny has no weights on this machine"):
        train(prepared, tmp_path / "out", Ledger(tmp_path / "out"), 1)
    assert not (tmp_path / "out").exists()
