"""The bench of accelerators runs on a CPU, with small models, as it will run there."""

import pytest
from bench_gpu import STAGES, report
from training_lab import Lab, Ours, Pair

from scaling.base_models.lookup import find_encoder, find_llm
from scaling.spec import Precision

MINIS = Pair(encoder=find_encoder("mini-s").dims, llm=find_llm("mini-s").dims, batch_audio_seconds=20.0)
UTTERANCES = 4


@pytest.mark.parametrize("processes", [(), pytest.param((2,), marks=pytest.mark.slow)], ids=["alone", "side by side"])
def test_the_bench_of_an_accelerator_measures_every_stage_and_processes_side_by_side(tmp_path, monkeypatch, processes):
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    found = report("cpu", [MINIS], UTTERANCES, seconds=0.01, matrix=256, processes=processes, compiled=(False,))
    assert found["machine"]["device"] == "cpu"
    assert found["training"].keys() == {"mini-s + mini-s"}
    assert found["together"]["audio_seconds_per_second"].keys() == set(processes)
    assert all(rate > 0 for rate in found["together"]["audio_seconds_per_second"].values())
    lab = Lab(tmp_path, UTTERANCES, MINIS)
    for stage, measured in found["training"]["mini-s + mini-s"].items():
        ours = Ours(lab, stage, Precision.BF16)
        executed = measured["executed_flops_per_second"] / measured["audio_seconds_per_second"]
        assert 1.0 <= executed / (ours.epoch_flops / ours.audio_seconds) < 1.5, "charged FLOPs and some padding"
        assert measured["planned_memory_bytes"] > 3 * sum(
            p.nbytes for p in ours.inputs.model.parameters() if p.requires_grad
        )
        assert measured["peak_memory_bytes"] is None, "known on accelerators alone"
        assert 0 <= measured["wait_share"] < 1
    assert found["training"]["mini-s + mini-s"].keys() == set(STAGES)
