import os
import time
from pathlib import Path
from typing import Any

import pytest
from small_study import StudyWriter
from stand_in import result

from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.ledger.records import Event
from scaling.system.progress_line import ProgressLine
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.progress.eta import eta_seconds, pace_of
from sweeps.progress.status import survey_study
from sweeps.run.monitor import Monitor

SPEED = 1e8
"""FLOPs a second of the planted workers in training."""


@pytest.fixture
def plan_file(write_study: StudyWriter, tmp_path: Path) -> PlanFile:
    """A study of `joint` at two budgets: a trunk in two stretches, each with its cooldown."""
    ledger = Ledger(tmp_path / "out")
    prepared = prepare(str(write_study(strategies=["joint"], budgets_flops=[10**10, 2 * 10**10])), [], ledger)
    write_plan_file(prepared.study, prepared.plan, tmp_path / "out", ledger)
    return read_plan_file(tmp_path / "out")


def begin(plan_file: PlanFile, key: str, *, seconds: float, worker: str = "w0") -> None:
    """A worker that has trained the node for so long at the planted speed."""
    os.environ[WORKER_NAME] = worker
    attempt = plan_file.ledger.claim(key, session=plan_file.session)
    del os.environ[WORKER_NAME]
    assert attempt is not None
    start = plan_file.work[key].start_flops
    attempt.log(Event(event="start", flops=start, time=1000.0))
    attempt.log(Event(event="progress", flops=start + int(SPEED * seconds), time=1000.0 + seconds))


def commit(plan_file: PlanFile, key: str, **more: Any) -> None:
    """A result that says the planted speed."""
    attempt = plan_file.ledger.claim(key, session=plan_file.session)
    assert attempt is not None
    found = result(attempt, plan_file.ledger.node(key))
    spent = found.spent.model_copy(update={"seconds": plan_file.work[key].flops / SPEED})
    attempt.commit(found.model_copy(update={"spent": spent, **more}))


def eta(plan_file: PlanFile, workers: int = 0) -> float | None:
    found = survey_study(plan_file)
    return eta_seconds(plan_file, found, pace_of(plan_file, found), workers)


def of_training(*flops: float) -> float:
    return sum(flops) / SPEED


def test_what_is_still_to_decode_is_in_the_eta(plan_file: PlanFile) -> None:
    """Until a result says how long decoding took, its FLOPs last as long as those of training."""
    begin(plan_file, plan_file.nodes[0], seconds=10.0)
    one = next(iter(plan_file.evaluation_flops.values()))
    assert len(plan_file.evaluation_flops) == 2
    assert one > 5 * 10**7  # 14 utterances: half a second of training
    assert eta(plan_file) == pytest.approx(of_training(7e9, 8e9, 2e9, 4e9, 2 * one))


def test_decoding_takes_as_long_as_it_took_in_this_study(plan_file: PlanFile) -> None:
    trunk, ends = plan_file.nodes[0], [run.nodes[-1] for run in plan_file.runs]
    commit(plan_file, trunk)
    commit(plan_file, ends[0], evaluation_seconds=500.0)
    second = next(key for key in plan_file.nodes if key not in (trunk, *ends))
    begin(plan_file, second, seconds=10.0)
    assert eta(plan_file) == pytest.approx(of_training(7e9, 4e9) + 500.0)


def test_a_trainer_that_does_not_say_how_long_it_decoded_does_not_count_as_quick(plan_file: PlanFile) -> None:
    ends = [run.nodes[-1] for run in plan_file.runs]
    commit(plan_file, ends[0], evaluation_seconds=500.0)
    commit(plan_file, ends[1])
    assert pace_of(plan_file, survey_study(plan_file)).decoding == pytest.approx(
        plan_file.evaluation_flops[ends[0]] / 500.0
    )


def test_looks_at_dev_slow_training_down(plan_file: PlanFile) -> None:
    commit(plan_file, plan_file.nodes[0], look_seconds=80.0)  # as long as its training
    assert pace_of(plan_file, survey_study(plan_file)).training == pytest.approx(SPEED / 2)


def test_the_eta_is_no_less_than_the_longest_chain(plan_file: PlanFile) -> None:
    begin(plan_file, plan_file.nodes[0], seconds=10.0)
    one = next(iter(plan_file.evaluation_flops.values()))
    assert eta(plan_file, workers=100) == pytest.approx(of_training(7e9, 8e9, 4e9, one))


def test_nobody_at_work_has_no_eta(plan_file: PlanFile) -> None:
    commit(plan_file, plan_file.nodes[0])
    assert eta(plan_file) is None


def test_plans_of_earlier_versions_have_an_eta_without_decoding(plan_file: PlanFile) -> None:
    plan_file.evaluation_flops.clear()
    begin(plan_file, plan_file.nodes[0], seconds=10.0)
    assert eta(plan_file) == pytest.approx(of_training(7e9, 8e9, 2e9, 4e9))


def test_workers_are_starting_until_they_claim_a_node_and_while_there_is_one_for_them(
    plan_file: PlanFile, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.run.monitor.UPDATE_SECONDS", 0.0)
    monitor = Monitor(plan_file, ProgressLine())

    def said() -> str:
        for _ in range(1000):
            monitor.update(["w0", "w1"])
            if text := capsys.readouterr().err:
                return text
            time.sleep(0.01)
        pytest.fail("nothing was said")

    assert "0/2 runs, 1 worker starting, 0 running, ETA unknown" in said()  # the second one has nothing to do yet
    begin(plan_file, plan_file.nodes[0], seconds=10.0)
    assert "0/2 runs, 1 running, ETA" in said()
    plan_file.ledger.attempts(plan_file.nodes[0])[0].release()
    commit(plan_file, plan_file.nodes[0])
    assert "0/2 runs, 1 worker starting, 0 running, ETA" in said()  # w1 alone: w0 has worked before
