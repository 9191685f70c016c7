import json
from pathlib import Path

import pytest
from node_results import node_result
from small_study import StudyWriter

from scaling.errors import InputError
from scaling.ledger.checkpoints import free, revive
from scaling.ledger.hearing import Hearing
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.ledger.records import Event
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.progress.results_table import Collector
from sweeps.progress.status import State, survey_study
from sweeps.progress.status_text import status_text, study_status, watch


@pytest.fixture
def plan_file(write_study: StudyWriter, tmp_path: Path) -> PlanFile:
    """A study of `joint` at two budgets: a trunk in two stretches, each with its cooldown."""
    ledger = Ledger(tmp_path / "out")
    study = write_study(strategies=["joint"], budgets_flops=[10**10, 2 * 10**10])
    prepared = prepare(str(study), [], ledger)
    write_plan_file(prepared.study, prepared.plan, tmp_path / "out", ledger)
    return read_plan_file(tmp_path / "out")


def commit(plan_file: PlanFile, key: str) -> None:
    attempt = plan_file.ledger.claim(key, session=plan_file.session)
    assert attempt is not None
    attempt.commit(node_result())


def test_before_anything_is_done_all_nodes_wait(plan_file: PlanFile) -> None:
    found = survey_study(plan_file)
    assert {node.state for node in found.nodes.values()} == {State.WAITING}
    assert (found.done_flops, found.remaining_flops) == (0, 16 * 10**9 + 2 * 10**9 + 4 * 10**9)
    assert study_status(plan_file, found).as_document()["eta_seconds"] is None


def test_a_running_node_shows_the_flops_it_has_trained_from_its_own_start(plan_file: PlanFile) -> None:
    first, second = plan_file.nodes[:2]  # the trunk to 8e9, then on to 1.6e10
    commit(plan_file, first)
    attempt = plan_file.ledger.claim(second, session=plan_file.session)
    assert attempt is not None
    attempt.log(Event(event="start", flops=9 * 10**9, time=100.0))  # from a checkpoint of an earlier attempt
    attempt.log(Event(event="progress", flops=10**10, time=110.0))
    attempt.events.write_bytes(attempt.events.read_bytes() + b'{"event": "progress", "fl')  # torn by a kill
    found = survey_study(plan_file)
    assert found.nodes[second].state is State.RUNNING
    assert found.nodes[second].flops == 2 * 10**9
    assert found.done_flops == 8 * 10**9 + 2 * 10**9
    (running,) = study_status(plan_file, found).as_document()["running"]
    assert (running["stage"], running["strategy"], running["seed"]) == ("joint", "joint", 0)
    assert running["eta_seconds"] == pytest.approx(60.0)  # 6e9 FLOPs at the speed of this attempt, 1e8 a second
    assert running["evaluating"] is None
    lines = status_text(study_status(plan_file, found)).splitlines()
    assert f"running  {second}  joint: joint, encoder + llm, seed 0" in lines
    assert "         25% of 8.00e+09 FLOPs, ETA 60 s" in lines
    assert max(len(line) for line in lines if line.startswith(("running", " "))) <= 80


def ends(plan_file: PlanFile) -> list[str]:
    """The nodes that end runs; both are cooldowns, and need the trunk."""
    return [run.nodes[-1] for run in plan_file.runs]


def begin(plan_file: PlanFile, key: str, *events: Event) -> None:
    attempt = plan_file.ledger.claim(key, session=plan_file.session)
    assert attempt is not None
    for event in events:
        attempt.log(event)


def decoding(name: str, done: int, of: int, time: float) -> Event:
    return Event(event="evaluating", set=name, done=done, of=of, time=time)


def test_a_node_whose_test_set_is_decoded_says_which_and_how_far(plan_file: PlanFile) -> None:
    commit(plan_file, plan_file.nodes[0])
    end = ends(plan_file)[0]
    trained = [
        Event(event="start", flops=8 * 10**9, time=100.0),
        Event(event="progress", flops=99 * 10**8, time=110.0),  # the last one: those are a second apart
    ]
    begin(plan_file, end, *trained, decoding("clean", 0, 300, 111.0), decoding("clean", 60, 300, 115.0))
    document = study_status(plan_file, survey_study(plan_file)).as_document()
    (running,) = document["running"]
    assert running["evaluating"] == {"set": "clean", "done": 60, "of": 300}
    assert running["flops"] == running["total_flops"]
    assert running["eta_seconds"] == pytest.approx(16.0)  # 240 more, 15 a second
    assert "100% of 2.00e+09 FLOPs, ETA 16 s, decoding clean (60 of 300)" in status_text(
        study_status(plan_file, survey_study(plan_file))
    )
    assert survey_study(plan_file).evaluating == [end]


@pytest.mark.parametrize("block", [100, 8192])
def test_a_long_decoding_does_not_hide_how_far_training_came(
    plan_file: PlanFile, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("sweeps.progress.attempt_progress.BLOCK_BYTES", block)
    begin(plan_file, plan_file.nodes[0], Event(event="start", flops=0), Event(event="progress", flops=4 * 10**9))
    attempt = plan_file.ledger.attempts(plan_file.nodes[0])[0]
    for done in range(400):
        attempt.log(Event(event="evaluating", set="dev", done=done, of=400))
    found = survey_study(plan_file).nodes[plan_file.nodes[0]]
    assert found.flops == 4 * 10**9
    assert found.progress.decoding is not None
    assert found.progress.decoding.done == 399


def test_a_look_at_dev_is_decoding_until_it_is_over(plan_file: PlanFile) -> None:
    first = plan_file.nodes[0]
    began = [Event(event="start", flops=0, time=100.0), Event(event="progress", flops=10**9, time=110.0)]
    begin(plan_file, first, *began, decoding("dev", 10, 100, 111.0))
    (running,) = study_status(plan_file, survey_study(plan_file)).as_document()["running"]
    assert running["evaluating"] == {"set": "dev", "done": 10, "of": 100}
    assert running["flops"] == 10**9  # training goes on after it
    plan_file.ledger.attempts(first)[0].log(Event(event="dev", flops=10**9, cer=0.5))
    assert study_status(plan_file, survey_study(plan_file)).as_document()["running"][0]["evaluating"] is None


def hearing(nats: float, low: float) -> Hearing:
    return Hearing(flops=10**9, nats=nats, low=low, high=2 * nats, resampled="speakers", n_utterances=9)


@pytest.mark.parametrize(
    ("low", "said"), [(0.01, "does not hear yet (0.05 nats a token)"), (0.2, "hears (0.05 nats a token)")]
)
def test_a_running_node_says_whether_it_hears_at_its_last_look(plan_file: PlanFile, low: float, said: str) -> None:
    first, second = plan_file.nodes[:2]
    commit(plan_file, first)
    begin(plan_file, second, Event(event="start", flops=9 * 10**9), Event(event="progress", flops=10**10))
    assert study_status(plan_file, survey_study(plan_file)).running[0].hearing is None
    plan_file.ledger.attempts(second)[0].log(Event(event="progress", flops=11 * 10**9, hearing=hearing(0.05, low)))
    status = study_status(plan_file, survey_study(plan_file))
    assert said in status_text(status)
    assert status.as_document()["running"][0]["hearing"] == {
        "flops": 10**9,
        "nats": 0.05,
        "low": low,
        "high": 0.1,
        "hears": low > 0.1,
    }


def test_finished_runs_that_do_not_hear_are_listed(plan_file: PlanFile) -> None:
    scores = {"cer": 0.9, "errors": 9, "ref_chars": 10, "n_utterances": 1}
    for key in plan_file.nodes:
        attempt = plan_file.ledger.claim(key, session=plan_file.session)
        assert attempt is not None
        heard = hearing(0.5, 0.4) if key == ends(plan_file)[1] else hearing(0.02, 0.01)
        attempt.commit(node_result(hearing=heard, dev=scores, test={"clean": scores}))
    Collector(plan_file).collect()
    status = study_status(plan_file, survey_study(plan_file))
    deaf = plan_file.runs[0]
    (listed,) = status.as_document()["not_hearing"]
    assert (listed["run"], listed["budget_flops"], listed["hearing_nats"]) == (deaf.key, 1e10, 0.02)
    line = f"does not hear yet  {deaf.key}  joint, encoder + llm, 1e+10 FLOPs, seed 0: 0.02 nats a token"
    assert line in status_text(status).splitlines()


def test_what_no_trainer_of_ours_would_log_does_not_matter(plan_file: PlanFile) -> None:
    begin(plan_file, plan_file.nodes[0])
    odd = [{"event": "evaluating"}, {"event": "evaluating", "set": 3, "done": None, "of": "x"}, {"event": "progress"}]
    lines = [{"event": "start", "flops": "none", "time": None}, *odd, {"event": "dev", "cer": "?"}, [1], 7]
    plan_file.ledger.attempts(plan_file.nodes[0])[0].events.write_text("\n".join(map(json.dumps, lines)) + "\n")
    (running,) = study_status(plan_file, survey_study(plan_file)).as_document()["running"]
    assert (running["flops"], running["evaluating"], running["eta_seconds"]) == (0, None, None)


def test_what_needs_a_failed_node_is_blocked_until_a_later_session(plan_file: PlanFile, tmp_path: Path) -> None:
    first, second = plan_file.nodes[:2]
    commit(plan_file, first)
    attempt = plan_file.ledger.claim(second, session=plan_file.session)
    assert attempt is not None
    attempt.fail("error", "ValueError: no", session=plan_file.session)
    found = survey_study(plan_file)
    states = sorted(node.state for node in found.nodes.values())
    assert states == [State.BLOCKED, State.DONE, State.FAILED, State.WAITING]
    assert sorted(found.runs.values()) == [State.FAILED, State.WAITING]
    assert found.lost_flops == 8 * 10**9 + 4 * 10**9
    document = study_status(plan_file, found).as_document()
    assert document["failed"] == [{"node": second, "cause": "error: ValueError: no"}]
    assert "error: ValueError: no" in status_text(study_status(plan_file, survey_study(plan_file)))
    json.dumps(document, allow_nan=False)
    plan_file.session = "a later one"
    assert survey_study(plan_file).nodes[second].state is State.WAITING


def test_what_diverged_is_known_by_it_while_its_start_is_trained_again(plan_file: PlanFile) -> None:
    first, second = plan_file.nodes[:2]
    commit(plan_file, first)
    attempt = plan_file.ledger.claim(second, session=plan_file.session)
    assert attempt is not None
    attempt.fail("diverged", "the loss is nan", session=plan_file.session)
    free(plan_file.ledger, [first], needed=lambda: ())
    revive(plan_file.ledger, first)
    found = survey_study(plan_file).nodes
    assert found[first].state is not State.DONE
    assert found[second].state is State.FAILED


def test_watching_shows_every_change_until_nothing_is_left(
    plan_file: PlanFile, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = iter(plan_file.nodes)
    monkeypatch.setattr("time.sleep", lambda seconds: commit(plan_file, next(keys)))
    watch(plan_file.folder, as_json=True)
    looks = [json.loads(line)["nodes"]["done"] for line in capsys.readouterr().out.splitlines()]
    assert looks == [0, 1, 2, 3, 4]


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no plan\.json; expected the folder of a study"):
        read_plan_file(tmp_path)
