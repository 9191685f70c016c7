"""Three currencies of whole runs against an operation counter; what is kept of a frozen encoder changes no bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_reference import MINI_ENCODER
from flop_reference import MINI_LLM, Trains, model_shape
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
from torch.utils.flop_counter import FlopCounterMode

import scaling.asr.model.load_base
import scaling.asr.node
import scaling.asr.resources
from scaling.asr.__main__ import work
from scaling.asr.inputs.dataset import Examples
from scaling.asr.inputs.encoder_output_cache import CachedOutputs
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.resources import Sources, WorkerResources
from scaling.cost.flops import charged, executed_batches
from scaling.cost.step_costs import StageMeter
from scaling.ledger.ledger import Ledger
from scaling.spec import Objective, Part
from scaling.speech.batches import split_batch
from scaling.speech.lengths import Lengths

NOTHING = {"memory_gib": 0.0, "disk_gib": 0.0}
ON_DISK = {"memory_gib": 0.0, "disk_gib": 1.0}
A_LITTLE = {"memory_gib": 2e-6, "disk_gib": 4e-6}  # 2 and 4 KB: some of the utterances, most given up on the way
FEW = {"budgets_flops": [3e7], "hours": 0.0005}
"""More than one epoch in the stages of a frozen encoder."""

PROJECTOR = Trains(Objective.LLM, frozenset({Part.PROJECTOR}))


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [
        pytest.param("efin", NOTHING, id="efin-nothing kept"),
        pytest.param("efin", ON_DISK, id="efin-kept"),
        pytest.param("joint", NOTHING, id="joint-nothing kept"),
        # Nothing of an encoder that trains is kept, and a frozen one is efin's in its second stage.
        pytest.param("joint", ON_DISK, id="joint-kept", marks=pytest.mark.slow),
        pytest.param("frozen_encoder", NOTHING, id="frozen_encoder-nothing kept", marks=pytest.mark.slow),
        pytest.param("frozen_encoder", ON_DISK, id="frozen_encoder-kept", marks=pytest.mark.slow),
    ],
)
def test_a_run_executes_what_the_counter_sees_with_outputs_kept_and_without(
    world, tmp_path, counted, monkeypatch, strategy, kept
):
    if kept is NOTHING:
        monkeypatch.setattr(scaling.asr.resources, "GROUP_SAMPLES", 0)  # the others of a group have a test of their own
    (row,) = train_study(write_study(world, strategies=[strategy], **FEW, kept=kept), tmp_path)
    assert sum(counted) == row["executed_flops" if kept is NOTHING else "cache_credited_flops"]
    assert (row["cache_credited_flops"] < row["executed_flops"]) == (strategy != "joint")


def test_what_runs_beside_what_is_executed_is_the_hearing_of_the_others_of_a_group(
    world, tmp_path, counted, monkeypatch
):
    """With nothing kept, a group is heard at every step that reads any of it."""
    others: list[tuple[str, int]] = []
    plain = ModelInputs._outputs

    def noting(
        self: ModelInputs, utterances: Examples, kept: CachedOutputs, device: torch.device
    ) -> list[torch.Tensor]:
        assert self.groups is not None
        heard = {other for index in utterances.indices for other in self.groups.group_of(index)}
        others.extend((self.dataset.manifest.digest, other) for other in heard - set(utterances.indices))
        return plain(self, utterances, kept, device)

    monkeypatch.setattr(ModelInputs, "_outputs", noting)
    fields = {"strategies": ["frozen_encoder"], "budgets_flops": [3e7], "kept": NOTHING}
    plan_file = order(write_study(world, **fields), tmp_path)
    assert work(plan_file.ledger, plan_file, NeverStop()) == 0
    results = [plan_file.ledger.result(key) for key in plan_file.nodes]
    node = plan_file.ledger.node(plan_file.nodes[0])
    resources = WorkerResources(Sources(plan_file.sources), torch.device("cpu"))
    lengths = resources.dataset(node, node.data.train).lengths
    encoder_N = charged(resources.model_shape(node), node.stage, lengths, {Part.ENCODER})
    beside = [other for manifest, other in others if manifest == node.data.train]
    assert beside
    assert sum(counted) == sum(result.spent.executed_flops for result in results) + encoder_N[beside].sum()


@pytest.fixture(scope="module")
def plain(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run of efin in whole batches, whom nobody counts."""
    (row,) = train_study(write_study(world, strategies=["efin"], **FEW, kept=NOTHING), tmp_path_factory.mktemp("plain"))
    return row


def test_pieces_that_are_recomputed_execute_what_the_counter_sees_and_are_charged_as_ever(
    world, tmp_path, plain, counted, monkeypatch
):
    monkeypatch.setattr(scaling.asr.resources, "GROUP_SAMPLES", 0)
    thrifty = {"gradient_accumulation": 2, "gradient_checkpointing": True}
    (row,) = train_study(write_study(world, strategies=["efin"], **FEW, kept=NOTHING, **thrifty), tmp_path)
    assert sum(counted) == row["executed_flops"] > 1.1 * plain["executed_flops"]
    same = ("key", "flops", "nodes", "errors")
    assert [row[field] for field in same] == [plain[field] for field in same]
    for mine, other in zip(row["stages"], plain["stages"], strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-5)


@pytest.mark.parametrize("strategy", ["efin", "joint"])
def test_at_batch_1_a_run_is_charged_what_the_counter_sees(world, tmp_path, counted, monkeypatch, strategy):
    study = write_study(world, strategies=[strategy], budgets_flops=[2e7], batch_audio_seconds=0.01, kept=NOTHING)
    monkeypatch.setattr(scaling.asr.resources, "GROUP_SAMPLES", 0)
    (row,) = train_study(study, tmp_path)
    assert row["flops"] == row["executed_flops"] == sum(counted)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What torch's counter sees in the training of each node, looks at the dev set left out."""
    plain, found = scaling.asr.node.train, []

    def counting(*arguments: Any) -> Any:
        with FlopCounterMode(display=False) as counter:
            end = plain(*arguments)
        found.append(counter.get_total_flops())
        return end

    monkeypatch.setattr(scaling.asr.node, "train", counting)
    monkeypatch.setattr(scaling.asr.evaluation.evaluation_in_training.Pacing, "due", lambda self, seconds: False)
    monkeypatch.setattr(
        scaling.asr.model.load_base, "ATTENTION", "eager"
    )  # torch counts fused attention on CPU as nothing
    return found


SHARED = {"strategies": ["efin"], "budgets_flops": [5e7, 1e8], "hours": 0.0005}
"""Trunks that branches go on from, each utterance heard several times."""


@pytest.fixture(scope="module")
def unkept(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    out = tmp_path_factory.mktemp("unkept")
    return out, train_study(write_study(world, **SHARED, kept=NOTHING), out)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(ON_DISK, id="on disk", marks=pytest.mark.slow),  # a little of it is on disk, too
        pytest.param(A_LITTLE, id="a little"),
        pytest.param({}, id="by default"),
    ],
)
def test_what_is_kept_changes_no_bit_and_no_count(world, tmp_path, unkept, kept):
    plain_folder, plain = unkept
    rows = train_study(write_study(world, **SHARED, kept=kept), tmp_path)
    assert [timeless(row) for row in rows] == [timeless(row) for row in plain]
    for key in {key for row in rows for key in row["nodes"]}:
        assert_same_weights(final_weights(Ledger(tmp_path), key), final_weights(Ledger(plain_folder), key))


def test_workers_that_come_and_go_leave_the_same_bits_and_counts(world, tmp_path, unkept):
    """Each of these workers begins with nothing kept, in the middle of a node."""
    plain_folder, _ = unkept
    study = write_study(world, **SHARED | {"budgets_flops": [5e7]})
    plan_file = order(study, tmp_path)
    while not all(plan_file.ledger.done(key) for key in plan_file.nodes):
        work(plan_file.ledger, plan_file, StopAfter(5))
    for key in plan_file.nodes:
        assert_same_weights(final_weights(plan_file.ledger, key), final_weights(Ledger(plain_folder), key))
        for count in ("flops", "executed_flops", "cache_credited_flops"):
            assert getattr(plan_file.ledger.result(key), count) == getattr(Ledger(plain_folder).result(key), count)


def test_a_frozen_encoder_hears_each_utterance_once_a_worker(world, tmp_path, monkeypatch):
    heard: list[int] = []
    plain = ModelInputs._encode

    def counting(self: ModelInputs, mels: Any, device: torch.device) -> Any:
        heard.append(len(mels))
        return plain(self, mels, device)

    monkeypatch.setattr(ModelInputs, "_encode", counting)
    rows = train_study(write_study(world, strategies=["frozen_encoder"], budgets_flops=[2e8, 4e8]), tmp_path)
    assert rows[-1]["epochs"] > 1
    assert max(heard) > 1  # together, where lengths are equal
    assert sum(heard) == 60 + 8 + 10  # train, dev and test


def test_a_trunk_of_a_version_without_the_third_currency_is_gone_on_from(world, tmp_path):
    train_study(write_study(world, strategies=["frozen_encoder"], budgets_flops=[3e7]), tmp_path)
    for progress in tmp_path.glob("stages/*/attempts/*/final/progress.json"):
        forget(progress, "encoded", "cache_credited_flops", "wait_seconds")
    for result in tmp_path.glob("stages/*/result.json"):
        forget(result, "cache_credited_flops", "wait_seconds", "look_seconds")
    old, new = train_study(write_study(world, strategies=["frozen_encoder"], budgets_flops=[3e7, 6e7]), tmp_path)
    assert old["cache_credited_flops"] is None
    assert new["cache_credited_flops"] is None
    assert new["cer"] is not None


def forget(path: Path, *fields: str) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in content.items() if name not in fields}))


LENGTHS = Lengths(
    samples=np.array([80_000, 63_333, 16_159, 40_000]),
    asr_tokens=np.array([20, 9, 11, 12]),
    llm_tokens=np.array([18, 12, 21, 12]),
)
BATCHES = [np.array([0, 1, 2]), np.array([3])]
WHOLE = [split_batch(batch, 1) for batch in BATCHES]
NEW = np.zeros(4, dtype=bool)


@pytest.mark.parametrize("training", [PROJECTOR, Trains(Objective.ASR, frozenset({Part.ENCODER, Part.ASR_DECODER}))])
def test_a_meter_of_padded_batches_is_the_padded_step(training):
    costs = StageMeter(model_shape(MINI_ENCODER, MINI_LLM), training, LENGTHS, encoder_unpadded=False).costs(WHOLE, NEW)
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    assert costs.executed.tolist() == executed_batches(shape, training, LENGTHS, BATCHES).tolist()
    assert costs.cache_credited.tolist() == costs.executed.tolist()
    assert costs.charged.sum() == charged(shape, training, LENGTHS).sum()


@pytest.mark.parametrize("alone", [True, False])
def test_credit_is_given_for_what_was_heard_and_for_nothing_else(alone):
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    meter = StageMeter(shape, PROJECTOR, LENGTHS, encoder_unpadded=alone)
    heard = np.array([True, False, False, True])
    costs = meter.costs(WHOLE, heard)
    batches = [np.array([1, 2])] if not alone else [np.array([1]), np.array([2])]
    lacking = executed_batches(shape, PROJECTOR, LENGTHS, batches, {Part.ENCODER}).sum()
    rest = executed_batches(shape, PROJECTOR, LENGTHS, BATCHES, set(Part) - {Part.ENCODER})
    assert costs.cache_credited.tolist() == [rest[0] + lacking, rest[1]]
    assert costs.executed.tolist() == meter.costs(WHOLE, NEW).cache_credited.tolist()
    assert costs.executed[1] == charged(shape, PROJECTOR, LENGTHS)[3]
