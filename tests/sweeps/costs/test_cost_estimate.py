import json
from pathlib import Path
from typing import Any

import pytest
from local_run import run_locally
from small_study import StudyWriter
from typer.testing import CliRunner

from scaling.cli import app
from scaling.cost.decoding import decoding_flops
from scaling.cost.evaluation_pacing import hearing_flops
from scaling.cost.hardware import Throughput
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.spec import Objective, Part
from scaling.speech.lengths import manifest_lengths
from sweeps.costs.cost_estimate import CostEstimate, Limits, estimate_cost
from sweeps.costs.tariff import tariff_of
from sweeps.plan.evaluation import evaluation_flops, held_out
from sweeps.plan.plan import needs_of, remaining_costs
from sweeps.plan.prepare import Prepared, prepare
from sweeps.plan_report import cost_line
from sweeps.progress.retention import CheckpointUse, retained

CPU: dict[str, Any] = {
    "device": "a cpu",
    "accelerator": False,
    "threads": 1,
    "precision": "fp32",
    "flops_per_second": 8e10,
}


def measure(monkeypatch: pytest.MonkeyPatch, throughput: Throughput) -> None:
    for module in ("sweeps.costs.cost_estimate", "sweeps.costs.worker_speed"):
        monkeypatch.setattr(f"{module}.saved_throughput", lambda: throughput)


H100 = tariff_of("h100-sxm", 0.5, 2.0)


@pytest.fixture
def prepared(write_study: StudyWriter) -> Prepared:
    return prepare(str(write_study()), [], None)


def plan(*arguments: Any) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["plan", *map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def test_hours_and_money_are_flops_over_the_devices_speed(prepared: Prepared) -> None:
    costs = estimate_cost(prepared, None, H100, workers=1)
    decoded = sum(evaluation_flops(prepared.study, prepared.plan).values())
    assert costs.device_hours == pytest.approx((prepared.plan.spent_flops + decoded) / (989.4e12 * 0.5) / 3600)
    assert costs.decoding_hours == pytest.approx(decoded / (989.4e12 * 0.5) / 3600)
    assert costs.decoding_flops == decoded
    assert costs.usd == pytest.approx(2.0 * costs.device_hours)
    assert costs.finish_hours == pytest.approx(costs.worker_hours)
    assert "not measured here" in costs.speed.source


def test_a_worker_on_a_cpu_occupies_its_threads(write_study: StudyWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, Throughput(**CPU))
    costs = estimate_cost(prepare(str(write_study(threads=2)), [], None), None)
    assert (costs.rent.devices, costs.rent.device, costs.rent.source) == (2, "cpu-core", "assumption")
    assert costs.device_hours == pytest.approx(2 * costs.worker_hours)


def test_a_worker_of_eight_devices_costs_the_same_hours_and_is_done_sooner(write_study: StudyWriter) -> None:
    one = estimate_cost(prepare(str(write_study()), [], None), None, H100, workers=1)
    several = write_study(processes=4, slurm={"nodes": 2})
    eight = estimate_cost(prepare(str(several), [], None), None, H100, workers=1)
    assert (one.rent.devices, eight.rent.devices) == (1, 8)
    assert eight.device_hours == pytest.approx(one.device_hours)
    assert eight.usd == pytest.approx(one.usd)
    assert 8 * eight.finish_hours == pytest.approx(one.finish_hours)


def test_no_number_of_workers_is_faster_than_the_longest_chain(prepared: Prepared) -> None:
    speed = estimate_cost(prepared, None, H100, workers=1).speed.flops_per_second
    longest = max(chain_flops(prepared, key) for key in prepared.plan.nodes)
    assert longest == 8_000_000_000  # a run waits for itself alone
    one = next(iter(evaluation_flops(prepared.study, prepared.plan).values()))  # all end with the same objective
    assert estimate_cost(prepared, None, H100, workers=1000).finish_hours == pytest.approx(
        (longest + one) / speed / 3600
    )


def test_the_costliest_chain_is_found_whatever_its_nodes_cost(prepared: Prepared) -> None:
    needs = needs_of(prepared.plan.nodes)
    costs = {key: 2**place for place, key in enumerate(needs)}  # the other way round than by FLOPs

    def costliest(key: str) -> int:
        return costs[key] + max((costliest(later) for later in needs if key in needs[later]), default=0)

    assert remaining_costs(needs, costs) == {key: costliest(key) for key in needs}


def chain_flops(prepared: Prepared, key: str) -> int:
    link = prepared.plan.nodes[key]
    return link.node.flops + max((chain_flops(prepared, need) for need in link.node.needs), default=0)


def test_every_run_decodes_dev_and_test_and_measures_hearing_on_dev_once(prepared: Prepared) -> None:
    (model,) = prepared.study.models
    model_shape, ends = model.shape, {run.end for run in prepared.plan.runs}
    sets = [
        manifest_lengths(held, encoder=model.encoder.directory, llm=model.llm.directory)
        for held in held_out(prepared.study)
    ]
    assert [len(lengths) for lengths in sets] == [6, 8]
    expected = sum(decoding_flops(model_shape, Objective.LLM, lengths) for lengths in sets)
    expected += hearing_flops(model_shape, sets[0])
    assert evaluation_flops(prepared.study, prepared.plan) == dict.fromkeys(ends, expected)


def test_looks_at_dev_take_a_tenth_of_the_time_in_nodes_of_over_a_minute(prepared: Prepared) -> None:
    slow = tariff_of("h100-sxm", 5e-8, 2.0)  # 3e9 FLOPs take a minute
    costs = estimate_cost(prepared, None, slow, workers=1)
    seconds = [link.node.flops / (989.4e12 * 5e-8) for link in prepared.plan.nodes.values()]
    assert 0 < costs.look_hours == pytest.approx(sum(s / 9 for s in seconds if s > 60) / 3600)
    assert costs.worker_hours == pytest.approx(sum(seconds) / 3600 + costs.look_hours + costs.decoding_hours)


def test_decoding_is_priced_as_finished_runs_measured_it(
    write_study: StudyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_SECONDS", "0.1")
    monkeypatch.setenv("STAND_IN_DECODES", "7.0")
    ledger = Ledger(tmp_path / "out")
    run_locally(write_study(budgets_flops=[2_000_000_000, 4_000_000_000]), tmp_path / "out", workers=2)
    costs = estimate_cost(prepare(str(write_study()), [], ledger), ledger)
    assert costs.decoding_hours == pytest.approx(2 * 7.0 / 3600)  # of 8e9, by both strategies
    assert costs.speed.decoding_source == "measured on finished runs of this study"


def test_a_plan_says_how_much_of_its_hours_is_decoding(prepared: Prepared) -> None:
    costs = estimate_cost(prepared, None, H100)
    share = (costs.decoding_hours + costs.look_hours) / costs.worker_hours
    assert 0.02 < share < 0.025  # and measuring hearing
    assert "under 1 s of h100-sxm (under 1 s of it training, 2% decoding dev and test sets), " in cost_line(costs)


def test_what_is_finished_costs_nothing_more(write_study: StudyWriter, tmp_path: Path) -> None:
    study = write_study()
    run_locally(study, tmp_path / "out", workers=2)
    costs = estimate_cost(prepare(str(study), [], Ledger(tmp_path / "out")), Ledger(tmp_path / "out"), H100)
    assert (costs.to_spend_flops, costs.device_hours, costs.finish_hours, costs.usd) == (0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(flops=1e9), "--max-flops 1e\\+09: what is left of this study costs 2.08e\\+10 FLOPs"),
        (Limits(device_hours=1e-9), "--max-hours 1e-09: .* device-hours \\(h100-sxm at MFU 0.5 \\(given\\)"),
        (Limits(usd=1e-9), "--max-usd 1e-09: .* USD .*rent: given"),
    ],
)
def test_a_study_over_a_limit_is_refused(prepared: Prepared, limits: Limits, words: str) -> None:
    costs = estimate_cost(prepared, None, H100)
    assert costs.to_spend_flops > 1e9
    with pytest.raises(
        InputError, match=words.replace("2.08e\\+10", f"{costs.to_spend_flops:.4g}".replace("+", "\\+"))
    ):
        limits.refuse(costs)
    Limits(flops=costs.to_spend_flops, device_hours=costs.device_hours, usd=costs.usd).refuse(costs)


def test_money_without_a_known_price_is_not_guessed(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, Throughput(**{**CPU, "device": "B300", "accelerator": True}))
    costs = estimate_cost(prepared, None)
    assert costs.usd is None
    with pytest.raises(InputError, match="no price of B300 is known; give --usd-per-hour"):
        Limits(usd=5.0).refuse(costs)
    assert estimate_cost(prepared, None, tariff_of(None, None, 3.0)).usd == pytest.approx(3.0 * costs.device_hours)


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_nothing_is_written_where_a_limit_refuses(write_study: StudyWriter, tmp_path: Path, verb: str) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, [verb, str(write_study()), "--out", str(out), "--max-flops", "1e6"])
    assert result.exit_code != 0
    assert isinstance(result.exception, InputError)
    assert not out.exists()


def test_a_grown_study_says_what_is_reused_and_what_is_new(write_study: StudyWriter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_locally(write_study(budgets_flops=[2_000_000_000, 4_000_000_000]), out, workers=2)
    document = plan(write_study(), "--out", out)
    assert document["reused"]["runs"] == 4
    assert document["new"]["runs"] == 2
    assert 0 < document["to_spend_flops"] < document["spent_flops"]


def test_studies_on_one_ledger_share_what_they_have_in_common(write_study: StudyWriter, tmp_path: Path) -> None:
    root = tmp_path / "root"
    run_locally(write_study(strategies=["efin"]), tmp_path / "first", workers=2, root=root)
    second = write_study(strategies=["efin", "efin_no_align"], name="second")
    document = plan(second, "--out", tmp_path / "second", "--ledger", root)
    alone = plan(second)
    # All of efin, and of efin_no_align the encoder's own stage, are there already: 62 % of what it would spend alone.
    reused = alone["spent_flops"] - document["to_spend_flops"]
    encoder_only = sum(node["flops"] for node in alone["nodes"] if node["stage"] == "encoder")
    assert reused >= encoder_only
    assert document["new"]["runs"] == 3
    run_locally(second, tmp_path / "second", workers=2, root=root)
    attempts = [path for path in root.glob("stages/*/attempts/*") if path.name != "0001"]
    assert not attempts  # nothing was trained twice


def test_disk_holds_what_the_rule_keeps(prepared: Prepared) -> None:
    costs: CostEstimate = estimate_cost(prepared, None)
    (model,) = prepared.study.models
    model_shape = model.shape
    joint_end = 4 * (
        model_shape.encoder.encoder_params
        + model_shape.projector_params
        + 2 * 8 * model_shape.llm.params // model_shape.llm.width
    )
    assert Part.LLM_LORA in {part for stage in model.strategies[1].stages for part in stage.parts}
    assert costs.disk.kept_bytes > 3 * joint_end  # its three runs, and efin's beside them
    assert costs.disk.peak_bytes >= costs.disk.kept_bytes


def test_a_checkpoint_is_kept_while_needed_at_a_run_s_end_and_where_a_larger_budget_would_go_on() -> None:
    def use(*needs: str, final: bool = False, trunk: str | None = None, until: int = 0) -> CheckpointUse:
        return CheckpointUse(needs=needs, final=final, trunk=trunk, until_flops=until)

    nodes = {
        "t1": use(trunk="t", until=1),
        "b1": use("t1", final=True),
        "t2": use("t1", trunk="t", until=2),
        "b2": use("t2"),
        "end": use("b2", final=True),
    }
    assert retained(nodes, {"t1", "b1"}) == {"t1", "b1"}
    assert retained(nodes, {"t1", "b1", "t2"}) == {"b1", "t2"}
    assert retained(nodes, {"t1", "b1", "t2", "b2"}) == {"b1", "t2", "b2"}
    assert retained(nodes, nodes) == {"b1", "t2", "end"}
