"""Hearing: a model that follows the speech gains, a deaf one does not, and measuring changes no weight."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_world import (
    StopAfter,
    assert_same_weights,
    final_weights,
    order,
    timeless,
    train_study,
    write_study,
)

import scaling.asr.evaluation.evaluation_in_training
from scaling.asr.__main__ import work
from scaling.asr.evaluation.hearing import HearingTest
from scaling.asr.execution.ranks import Ranks
from scaling.asr.model.recognizer import Recognizer
from scaling.asr.resources import Sources, WorkerResources
from scaling.ledger.events import read_events
from scaling.ledger.hearing import HEARS_ABOVE_NATS
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from scaling.ledger.run_curve import curve_points
from scaling.spec import Objective


@pytest.fixture
def hearing_test(finished):
    """The test on dev by the untrained base models of the finished study's `joint` runs."""
    plan = read_plan_file(finished.out)
    node = plan.ledger.node(finished.rows["joint"]["nodes"][-1])
    resources = WorkerResources(Sources(plan.sources), torch.device("cpu"))
    model = resources.recognizer(node, {})
    return HearingTest.of(resources.model_inputs(node, model, node.data.dev), resources.model_shape(node))


def mean_loss(self, batch):
    """A deaf LLM: the loss depends on the text and on the length of the speech alone."""
    _, lengths_B = batch.encoded
    return torch.tensor(
        [len(target) * float(length) for target, length in zip(batch.llm_targets, lengths_B, strict=True)]
    )


def test_both_speeches_have_the_same_length_and_texts_differ(hearing_test, monkeypatch):
    heard = []

    def watch(self, batch):
        heard.append(batch.encoded)
        return mean_loss(self, batch)

    monkeypatch.setattr(Recognizer, "llm_losses", watch)
    hearing = hearing_test.measure(0)
    for (right, right_lengths), (wrong, wrong_lengths) in zip(heard[::2], heard[1::2], strict=True):
        assert right.shape == wrong.shape
        assert torch.equal(right_lengths, wrong_lengths)
        assert not torch.equal(right, wrong)
    texts, samples = hearing_test.inputs.dataset.manifest.texts, hearing_test.inputs.dataset.samples
    assert all(texts[own] != texts[other] and samples[own] <= samples[other] for own, other in hearing_test.pairs)
    assert (hearing.nats, hearing.low, hearing.high, hearing.hears) == (0.0, 0.0, 0.0, False)


def test_the_gain_is_in_nats_a_target_token_with_its_interval_over_speakers(hearing_test, monkeypatch):
    dataset, calls = hearing_test.inputs.dataset, iter(range(100))

    def hears(self, batch):
        """The right speech, which comes first, costs 1 nat a token, another speech 3."""
        nats = 1.0 if next(calls) % 2 == 0 else 3.0
        return torch.tensor([nats * len(target) for target in batch.llm_targets])

    monkeypatch.setattr(Recognizer, "llm_losses", hears)
    hearing = hearing_test.measure(7)
    assert (hearing.flops, hearing.resampled, hearing.n_utterances) == (7, "speakers", len(dataset) - 1)
    assert (hearing.nats, hearing.low, hearing.high) == (pytest.approx(2.0),) * 3
    assert hearing.hears


def test_the_losses_of_utterances_are_those_of_each_alone_and_add_up_to_the_batch(hearing_test):
    inputs = hearing_test.inputs
    model, together = inputs.model.eval(), inputs.batch(inputs.read(range(5)))
    with torch.no_grad():
        losses_B = model.llm_losses(together)
        alone = [model.loss(inputs.batch(inputs.read([index])), Objective.LLM)[0] for index in range(5)]
        total, _ = model.loss(together, Objective.LLM)
    torch.testing.assert_close(losses_B, torch.stack(alone))
    torch.testing.assert_close(losses_B.sum(), total)


def test_each_of_two_ranks_hears_half_and_both_hear_what_one_does(hearing_test):
    alone = dict(hearing_test._gains())
    first, second = (dict(replace(hearing_test, ranks=Ranks(rank, 2))._gains()) for rank in (0, 1))
    assert abs(len(first) - len(second)) <= 1
    assert first | second == pytest.approx(alone, abs=1e-4)
    assert len(first) + len(second) == len(alone)


def test_a_set_with_one_text_alone_cannot_tell(world, tmp_path):
    rows = (world / "dev.jsonl").read_text().splitlines()
    same = [
        json.dumps({**json.loads(row), "audio_filepath": str(world / f"dev/{i}.wav"), "text": "1"})
        for i, row in enumerate(rows)
    ]
    (tmp_path / "dev.jsonl").write_text("\n".join(same) + "\n")
    data = {"train": "train.jsonl", "dev": str(tmp_path / "dev.jsonl"), "test": {"clean": "test.jsonl"}}
    (row,) = train_study(write_study(world, strategies=["joint"], budgets_flops=[4e7], data=data), tmp_path / "out")
    assert "hears" not in row
    result = Ledger(tmp_path / "out").result(row["nodes"][-1])
    assert (result.hearing, result.hearing_looks) == (None, [])


def always_looking(monkeypatch):
    monkeypatch.setattr(
        scaling.asr.evaluation.evaluation_in_training, "next_hearing_look", lambda flops, last: last + 1
    )


def never_looking(monkeypatch):
    monkeypatch.setattr(scaling.asr.evaluation.evaluation_in_training, "next_hearing_look", lambda flops, last: np.inf)


@pytest.mark.parametrize("strategy", ["efin", "joint"])
def test_measuring_before_every_step_changes_no_weight_and_no_charge(world, tmp_path, monkeypatch, strategy):
    study = write_study(world, strategies=[strategy], budgets_flops=[4e7])
    with monkeypatch.context() as patched:
        never_looking(patched)
        (without,) = train_study(study, tmp_path / "without")
    with monkeypatch.context() as patched:
        always_looking(patched)
        (watched,) = train_study(study, tmp_path / "watched")
    steps = [stage["steps"] - 1 for stage in watched["stages"] if stage["objective"] == "llm"]
    looks = [Ledger(tmp_path / "watched").result(stage["node"]).hearing_looks for stage in watched["stages"]]
    assert [len(each) for each in looks if each is not None] == steps  # none before the first
    assert timeless(watched) == timeless(without)
    for key in watched["nodes"]:
        assert_same_weights(
            final_weights(Ledger(tmp_path / "watched"), key), final_weights(Ledger(tmp_path / "without"), key)
        )


def test_a_killed_run_has_the_looks_of_the_uninterrupted_one(world, tmp_path, monkeypatch):
    study = write_study(world, strategies=["joint"], budgets_flops=[4e7])
    always_looking(monkeypatch)
    (plain,) = train_study(study, tmp_path / "plain")
    plan_file = order(study, tmp_path / "broken")
    while not all(plan_file.ledger.done(key) for key in plan_file.nodes):
        work(plan_file.ledger, plan_file, StopAfter(2))
    key = plain["nodes"][-1]
    looks = [ledger.result(key).hearing_looks for ledger in (plan_file.ledger, Ledger(tmp_path / "plain"))]
    assert looks[0] == looks[1]
    assert len(looks[0]) > 3


def test_the_table_and_the_events_say_that_a_deaf_run_does_not_hear(finished):
    row = finished.rows["joint"]
    assert row["hears"] is False
    assert row["hearing_low"] <= row["hearing_nats"] <= row["hearing_high"] < HEARS_ABOVE_NATS
    assert (row["deaf_flops"], row["hearing_onset_flops"]) == (row["flops"], None)
    (attempt,) = finished.ledger.attempts(row["nodes"][-1])
    told = [event.hearing.nats for event in read_events(attempt.events) if event.event == "hearing"]
    assert told[-1] == row["hearing_nats"]


def test_the_curve_that_is_tracked_has_every_look(finished):
    row, plan_file = finished.rows["efin"], read_plan_file(finished.out)
    run = next(run for run in plan_file.runs if run.key == row["key"])
    told = [point for point in curve_points(plan_file, run) if "hearing_nats" in point]
    before = [sum(stage["flops"] for stage in row["stages"][:place]) for place in range(3)]
    results = [plan_file.ledger.result(stage["node"]) for stage in row["stages"]]
    looks = [
        (flops + look.flops, look.nats)
        for flops, end in zip(before, results, strict=True)
        for look in end.hearing_looks or ()
    ]
    looks.append((row["flops"], row["hearing_nats"]))
    assert [(point["flops"], point["hearing_nats"]) for point in told] == looks
    assert len(looks) > 1


def test_a_run_that_writes_through_its_encoder_has_no_llm_that_could_hear(finished):
    assert "hears" not in finished.rows["encoder-only"]
