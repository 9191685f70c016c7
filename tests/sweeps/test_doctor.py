"""What `doctor` finds, and what `plan` makes of the speed it measured."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
from small_study import StudyWriter

import sweeps.doctor
from scaling.cost.hardware import Throughput, save_throughput, saved_throughput
from sweeps.costs.cost_estimate import estimate_cost
from sweeps.doctor import Health, diagnosis_document, diagnosis_of, diagnosis_text
from sweeps.plan.prepare import prepare

MEASURED = {"torch": "2.0", "transformers": "5.0", "peft": "0.18", "device": "x", "threads": 1, "precision": "fp32"}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))


def probe_says(monkeypatch: pytest.MonkeyPatch, **found: object) -> None:
    answer = json.dumps({**MEASURED, "accelerator": False, "flops_per_second": 5e10, **found})
    monkeypatch.setattr(sweeps.doctor, "_output", lambda command, seconds: answer)


def health(document: dict) -> dict[str, str]:
    return {check["name"]: check["health"] for check in document["checks"]}


def test_a_machine_without_an_accelerator_is_measured_for_plan(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(str(write_study(threads=2)), [], None)
    assert estimate_cost(prepared, None).speed.source.startswith("assumption")
    probe_says(monkeypatch)
    document = diagnosis_document(diagnosis_of(tmp_path))
    assert health(document)["torch"] == "ok"
    assert health(document)["accelerator"] == "missing"
    costs = estimate_cost(prepared, None)
    step = costs.charged_flops / costs.steps
    assert costs.speed.flops_per_second == pytest.approx(step / (step / (5e10 * 0.56 * 2) + 0.026))
    products = "estimate: 56% of the matrix products that `doctor` measured here, in fp32"
    assert costs.speed.source == f"{products}, and 26 ms a step"


def test_an_accelerator_is_one_worker_whatever_the_threads(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe_says(monkeypatch, accelerator=True, precision="bf16", flops_per_second=6e14, device="H200")
    assert "H200" in diagnosis_text(diagnosis_of(tmp_path))
    prepared = prepare(str(write_study(threads=4)), [], None)
    assert estimate_cost(prepared, None).speed.training.flops_per_second == pytest.approx(6e14 * 0.4)


def test_a_torch_that_does_not_start_is_connection_error_and_its_cause_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], seconds: float) -> str:
        raise subprocess.CalledProcessError(1, command, stderr="Traceback\nImportError: libcuda.so.1\n")

    monkeypatch.setattr(sweeps.doctor, "_output", fail)
    torch = diagnosis_of(tmp_path).checks[0]
    assert (torch.health, torch.detail) == (Health.BROKEN, "ImportError: libcuda.so.1")
    assert saved_throughput() is None


def test_without_torch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else plain(name))
    torch = diagnosis_of(tmp_path).checks[0]
    assert (torch.health, torch.detail) == (
        Health.MISSING,
        "training needs torch: pip install 'asr-scaling[train]'",
    )


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe_says(monkeypatch)
    monkeypatch.setattr(sweeps.doctor, "LOW_DISK_GIB", 1e9)
    checks = {check.name: check for check in diagnosis_of(tmp_path / "not" / "there" / "yet").checks}
    assert checks["disk"].health is Health.BROKEN
    assert f"GiB free at {tmp_path}" in checks["disk"].detail


def test_a_measurement_of_another_version_is_none(tmp_path: Path) -> None:
    save_throughput(Throughput(device="x", accelerator=False, threads=1, precision="fp32", flops_per_second=1.0))
    assert saved_throughput() is not None
    (entry,) = (tmp_path / "cache" / "throughput").iterdir()
    entry.write_text('{"schema": 9}')
    assert saved_throughput() is None


def test_the_probe_measures_real_matrix_products(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = pytest.importorskip("scaling.asr.execution.probe", reason="torch is an extra")
    monkeypatch.setattr(probe, "SECONDS", 0.1)
    probe.main()
    found = json.loads(capsys.readouterr().out)
    assert found["threads"] == 1
    assert 1e8 < found["flops_per_second"] < 1e16
