"""The trainer against known truth: shared trunks, resumed nodes and counted FLOPs agree exactly with the plain case."""

import json
import math
from pathlib import Path

import pytest
import torch
from tiny_world import (
    NeverStop,
    StopAfter,
    assert_same_weights,
    final_weights,
    order,
    timeless,
    train_study,
    write_study,
)

import scaling.asr.evaluation.evaluate
import scaling.asr.model.load_base
import scaling.asr.model.recognizer
import scaling.asr.node
import scaling.asr.train
from scaling.asr.__main__ import work
from scaling.asr.execution.learning_rate import rate_factor
from scaling.ledger.events import read_events
from scaling.ledger.ledger import Ledger


def test_a_branch_from_a_shared_trunk_is_the_lone_run_bit_for_bit(world, tmp_path):
    shared = train_study(write_study(world, budgets_flops=[3e7, 9e7], strategies=["joint", "efin"]), tmp_path / "a")
    alone = train_study(write_study(world, budgets_flops=[9e7], strategies=["joint", "efin"]), tmp_path / "b")
    for lone in alone:
        same = next(row for row in shared if row["key"] == lone["key"])
        assert timeless(same) == timeless(lone)
        key = lone["nodes"][-1]
        assert_same_weights(final_weights(Ledger(tmp_path / "a"), key), final_weights(Ledger(tmp_path / "b"), key))
    spent = sum(Ledger(tmp_path / "a").result(key).spent.flops for row in shared for key in set(row["nodes"]))
    assert spent > 0


def test_a_budget_between_two_old_ones_retrains_nothing_that_exists(world, tmp_path):
    before = train_study(write_study(world, budgets_flops=[3e7, 9e7], strategies=["joint"]), tmp_path)
    ledger = Ledger(tmp_path)
    stamps = {key: (ledger.folder(key) / "result.json").stat().st_mtime_ns for row in before for key in row["nodes"]}
    after = train_study(write_study(world, budgets_flops=[3e7, 6e7, 9e7], strategies=["joint"]), tmp_path)
    assert [row["budget_flops"] for row in after] == [3e7, 6e7, 9e7]
    for key, stamp in stamps.items():
        assert (ledger.folder(key) / "result.json").stat().st_mtime_ns == stamp
        assert len(ledger.attempts(key)) == 1


EVERYTHING = {"speeds": [0.9, 1.0, 1.1], "noise_snr_db": [5, 20], "masks": 2}


@pytest.mark.parametrize(
    ("strategy", "augmentation"),
    [
        ("efin", {}),
        pytest.param("joint", {}, marks=pytest.mark.slow),  # whose one stage is efin's last, the encoder trained too
        ("efin", EVERYTHING),
    ],
)
def test_a_node_interrupted_at_every_step_ends_as_the_uninterrupted_one(world, tmp_path, strategy, augmentation):
    study = write_study(world, strategies=[strategy], budgets_flops=[4e7], augmentation=augmentation)
    plain = train_study(study, tmp_path / "plain")
    plan_file = order(study, tmp_path / "broken")
    stops = 0
    while not all(plan_file.ledger.done(key) for key in plan_file.nodes):
        stops += 1
        work(plan_file.ledger, plan_file, StopAfter(2))
    assert stops > 5
    for row in plain:
        for key in row["nodes"]:
            assert_same_weights(final_weights(Ledger(tmp_path / "plain"), key), final_weights(plan_file.ledger, key))


def test_a_node_asked_to_stop_right_after_a_checkpoint_keeps_that_checkpoint(world, tmp_path):
    plan_file = order(write_study(world, strategies=["joint"], checkpoint_seconds=1e-6), tmp_path)
    work(plan_file.ledger, plan_file, StopAfter(4))
    (kept,) = tmp_path.glob("stages/*/attempts/0001/checkpoint-*/progress.json")
    assert json.loads(kept.read_text())["steps"] > 1


class StopWhileEvaluating:
    """Asked to stop once an attempt evaluates and has looked so many times more."""

    def __init__(self, ledger: Ledger, looks: int) -> None:
        self._ledger, self._looks = ledger, looks

    @property
    def asked(self) -> bool:
        self._looks -= any(b"evaluating" in events.read_bytes() for events in events_of(self._ledger))
        return self._looks < 0


def events_of(ledger: Ledger) -> list[Path]:
    return sorted(ledger.root.glob("stages/*/attempts/*/events.jsonl"))


@pytest.fixture(scope="module")
def one_node(world, tmp_path_factory):
    """A study of one run of one node, and the row of that run where nobody asked it to stop."""
    study = write_study(world, strategies=["joint"], cooldown=0.0, checkpoint_seconds=3600.0)
    (plain,) = train_study(study, tmp_path_factory.mktemp("plain"))
    return study, plain


@pytest.mark.parametrize("looks", [0, 4], ids=["at once", "between two tokens"])
def test_a_node_asked_to_stop_while_it_is_tested_is_only_tested_afterwards(one_node, tmp_path, looks):
    study, plain = one_node
    plan_file = order(study, tmp_path / "broken")
    work(plan_file.ledger, plan_file, StopWhileEvaluating(plan_file.ledger, looks))
    (key,) = plan_file.nodes
    trained = [event for event in read_events(plan_file.ledger.attempts(key)[-1].events) if event.event != "progress"]
    assert [event.event for event in trained] == ["start", "evaluating", "left"]
    assert not plan_file.ledger.done(key)
    (row,) = train_study(study, tmp_path / "broken")
    assert timeless(row) == timeless(plain)
    start, *others = read_events(plan_file.ledger.attempts(key)[-1].events)
    assert (start.resumed, start.flops) == (True, plain["stages"][-1]["flops"])
    assert "progress" not in {event.event for event in others}


def test_a_node_asked_to_stop_while_it_looks_at_dev_has_saved_what_it_trained(one_node, tmp_path, monkeypatch):
    study, plain = one_node
    plan_file = order(study, tmp_path / "broken")
    with monkeypatch.context() as patched:
        patched.setattr(
            scaling.asr.evaluation.evaluation_in_training.Pacing, "due", lambda self, seconds: seconds > 0
        )  # at the second step
        work(plan_file.ledger, plan_file, StopWhileEvaluating(plan_file.ledger, 0))
    (kept,) = (tmp_path / "broken").glob("stages/*/attempts/0001/checkpoint-*/progress.json")
    assert json.loads(kept.read_text())["steps"] == 1
    events = [event.event for event in read_events(events_of(plan_file.ledger)[0])]
    assert [event for event in events if event != "progress"] == ["start", "evaluating", "left"]
    assert timeless(train_study(study, tmp_path / "broken")[0]) == timeless(plain)


def test_a_node_stops_within_one_step_of_its_budget(finished):
    for row in finished.rows.values():
        for stage in row["stages"]:
            node = finished.ledger.node(stage["node"])
            largest_step = 2 * stage["flops"] / stage["steps"] + 1
            assert 0 <= stage["flops"] - node.until_flops < largest_step


def test_a_branch_whose_trunk_overshot_its_end_takes_no_step_and_keeps_the_trunks_loss(world, tmp_path):
    study = write_study(world, strategies=["joint"], budgets_flops=[3.3e7], batch_audio_seconds=8.0)
    (row,) = train_study(study, tmp_path)
    trunk, branch = (Ledger(tmp_path).result(key) for key in row["nodes"])
    assert branch.spent.flops == 0
    assert branch.flops == trunk.flops
    assert branch.loss == trunk.loss == row["stages"][0]["loss"]


def test_unique_audio_is_what_was_heard_at_least_once(world, tmp_path):
    few, many = train_study(write_study(world, strategies=["joint"], budgets_flops=[5e7, 2e8]), tmp_path)
    everything = 3600 * many["train_hours"]
    assert few["audio_seconds"] == few["unique_audio_seconds"] < everything
    assert many["unique_audio_seconds"] == pytest.approx(everything)
    assert many["epochs"] == pytest.approx(many["audio_seconds"] / everything)
    assert many["epochs"] > 1


def test_augmented_speech_is_another_run_that_nothing_is_kept_of(world, tmp_path):
    fields = {"strategies": ["efin"], "budgets_flops": [5e7], "hours": 0.0005}
    plain = train_study(write_study(world, **fields), tmp_path / "plain")[0]
    row = train_study(write_study(world, **fields, augmentation=EVERYTHING), tmp_path / "varied")[0]
    assert row["key"] != plain["key"]
    assert row["epochs"] > 2
    assert row["unique_audio_seconds"] <= plain["unique_audio_seconds"] + 1e-6
    frozen = [Ledger(tmp_path / "varied").result(node) for node in row["nodes"]][1:]
    assert all(result.cache_credited_flops == result.executed_flops for result in frozen)


def test_only_the_parts_of_a_stage_learn(finished):
    ends = [final_weights(finished.ledger, stage["node"]) for stage in finished.rows["efin"]["stages"]]
    learnt = [
        {
            name.partition("/")[0]
            for name, tensor in end.items()
            if name not in before or not torch.equal(tensor, before[name])
        }
        for before, end in zip([{}, *ends], ends, strict=False)
    ]
    assert learnt == [{"encoder", "asr_decoder"}, {"projector"}, {"projector", "llm_lora"}]


def test_the_rate_warms_up_stays_and_falls_as_one_minus_the_root(world, tmp_path):
    plan_file = order(write_study(world, strategies=["joint"], budgets_flops=[1e9]), tmp_path)
    nodes = [plan_file.ledger.node(key) for key in plan_file.nodes]
    branch = next(node for node in nodes if node.cooldown_from_flops is not None)

    def at(flops: float, steps: int) -> float:
        return rate_factor(branch, int(flops), steps)

    assert [at(0, 0), at(0, 1), at(0, 2), at(8e8, 50)] == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1, 1]
    assert at(9e8, 60) == pytest.approx(1 - math.sqrt(0.5))
    assert at(1e9, 70) == 0


def test_a_loss_that_is_no_number_is_recorded_as_diverged_and_the_others_go_on(world, tmp_path):
    rates = {"preset": "joint", "name": "wild", "rates": {"encoder": 0.999, "projector": 0.999, "llm_lora": 0.999}}
    monkeypatch = pytest.MonkeyPatch()
    plain = scaling.asr.model.recognizer.Recognizer.loss

    def poisoned(self, batch, objective):
        loss, tokens = plain(self, batch, objective)
        trained = [p for p in self.parameters() if p.requires_grad]
        return (loss * math.nan if any(p.abs().max() > 3 for p in trained) else loss), tokens

    monkeypatch.setattr(scaling.asr.model.recognizer.Recognizer, "loss", poisoned)
    plan_file = order(write_study(world, strategies=["joint", rates]), tmp_path)
    work(plan_file.ledger, plan_file, NeverStop())
    monkeypatch.undo()
    failures = [a.failure() for key in plan_file.nodes for a in plan_file.ledger.attempts(key) if a.failure()]
    assert [failure.kind for failure in failures] == ["diverged"]
    assert "loss nan at step" in failures[0].cause
    assert sum(plan_file.ledger.done(key) for key in plan_file.nodes) == 2


def test_a_loss_that_explodes_stops_the_run_at_once_with_its_cause(world, tmp_path):
    rates = {"name": "wild", "stages": [{"name": "all", "objective": "llm", "trains": {"llm": 0.99}, "share": 1.0}]}
    plan_file = order(write_study(world, strategies=[rates], budgets_flops=[1e9], clip_norm=1e9), tmp_path)
    work(plan_file.ledger, plan_file, NeverStop())
    (failure,) = (a.failure() for key in plan_file.nodes for a in plan_file.ledger.attempts(key))
    assert failure.kind == "diverged"
    assert "5 times that of uniform guessing" in failure.cause
    assert not any(plan_file.ledger.done(key) for key in plan_file.nodes)


def test_hypotheses_and_errors_of_every_test_utterance_are_kept(world, finished):
    row, kept = finished.rows["joint"], finished.utterances("joint")
    wanted = [json.loads(line)["text"] for line in (world / "test.jsonl").read_text().splitlines()]
    assert [entry["ref"] for entry in kept] == wanted
    assert sum(entry["errors"] for entry in kept) == row["errors"]
    assert sum(entry["ref_chars"] for entry in kept) == row["ref_chars"] == sum(map(len, wanted))
    assert row["cer"] == row["errors"] / row["ref_chars"]


def test_events_tell_where_a_node_began_and_that_it_is_done(finished):
    (attempt,) = finished.ledger.attempts(finished.rows["joint"]["nodes"][-1])
    events = [event.event for event in read_events(attempt.events)]
    assert (events[0], events[-1]) == ("start", "done")


def test_events_tell_how_much_of_which_set_is_decoded(world, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling.asr.evaluation.evaluate, "LOG_SECONDS", 0.0)
    monkeypatch.setattr(scaling.asr.evaluation.evaluate, "batch_audio_seconds", lambda model, objective: 0.5)
    (row,) = train_study(write_study(world, strategies=["joint"]), tmp_path)
    (attempt,) = Ledger(tmp_path).attempts(row["nodes"][-1])
    told = [event for event in read_events(attempt.events) if event.event == "evaluating"]
    assert {(event.set, event.of) for event in told} == {("clean", 10), ("dev", 8)}
    done = [event.done for event in told if event.set == "clean"]
    assert done == sorted(set(done))
    assert (done[0], len(done) > 2, done[-1] < 10) == (0, True, True)


def test_frozen_parts_stay_in_eval_mode_at_every_step_also_after_a_look_at_dev(world, tmp_path, monkeypatch):
    modes: list[tuple[bool, bool, bool]] = []
    taken = scaling.asr.train.take_step

    def watching(inputs, *others):
        model = inputs.model
        modes.append((model.family.encoder(model.asr).training, model.projector.training, model.llm.training))
        return taken(inputs, *others)

    monkeypatch.setattr(scaling.asr.train, "take_step", watching)
    monkeypatch.setattr(
        scaling.asr.evaluation.evaluation_in_training.Pacing, "due", lambda self, seconds: len(modes) in (2, 4)
    )
    (row,) = train_study(write_study(world, strategies=["projector_only"], budgets_flops=[4e7]), tmp_path)
    assert len(modes) == row["stages"][0]["steps"] > 4
    assert set(modes) == {(False, True, False)}
    events = [event.event for event in read_events(Ledger(tmp_path).attempts(row["nodes"][0])[-1].events)]
    assert "dev" in events
