"""The best sizes, hours and stage shares for a budget, on planted laws whose optimum is found here by brute force."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from pages import page_without_figures
from typer.testing import CliRunner

import scaling
from analysis.cli import app
from analysis.curves.fits_file import curves_of
from analysis.recommending.best_for_budget import recommend_for_flops
from analysis.recommending.best_shares import best_shares
from analysis.recommending.best_sizes import best_sizes
from analysis.recommending.flops_for_cer import recommend_for_cer
from analysis.recommending.inference_cost import flops_an_hour
from analysis.report.findings import findings_of
from analysis.tables.table import read_table
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.errors import InputError
from scaling.system.yaml_file import to_yaml

ENCODERS = ("whisper-tiny", "whisper-base", "whisper-small", "whisper-medium")
LLMS = ("SmolLM2-135M", "Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen2.5-3B")
ENCODER_PARAMS = {name: find_encoder(name).dims.encoder_params for name in ENCODERS}
LLM_PARAMS = {name: find_llm(name).dims.params for name in LLMS}
SHARES = {"encoder": 0.1, "together": 0.9}


def planted_cer(encoder_params, llm_params, hours):
    return (
        0.03
        + 0.05 * (encoder_params / 3e7) ** -0.35
        + 0.04 * (llm_params / 5e8) ** -0.3
        + 0.25 * (hours / 1e3) ** -0.45
    )


def prices(encoder_params, llm_params):
    """FLOPs an hour of audio: the first stage trains the encoder alone, the second runs both."""
    return {"encoder": 3.6e5 * 3 * encoder_params, "together": 3.6e5 * encoder_params + 6.5e5 * llm_params}


def hours_for(flops, encoder_params, llm_params):
    each = prices(encoder_params, llm_params)
    return sum(flops * share / each[stage] for stage, share in SHARES.items())


def brute_force(flops, lifetime=0.0, most_hours=math.inf):
    """The lowest planted CER over a fine grid of sizes within those tried; recognition linear in the sizes."""
    sides = [np.geomspace(min(sizes.values()), max(sizes.values()), 300) for sizes in (ENCODER_PARAMS, LLM_PARAMS)]
    encoder, llm = (side.ravel() for side in np.meshgrid(*sides, indexing="ij"))
    left = flops - lifetime * recognition_line(encoder, llm)
    hours = np.minimum(hours_for(np.maximum(left, 1e-9), encoder, llm), most_hours)
    errors = np.where(left > 0.0, planted_cer(encoder, llm, hours), np.inf)
    best = int(np.argmin(errors))
    return {"encoder": encoder[best], "llm": llm[best], "hours": hours[best], "cer": errors[best]}


def recognition_line(encoder, llm):
    pairs = [(e, m) for e in ENCODERS for m in LLMS]
    truth = np.array([flops_an_hour(e, m) for e, m in pairs])
    rows = np.array([[1.0, ENCODER_PARAMS[e], LLM_PARAMS[m]] for e, m in pairs]) / truth[:, None]
    line = np.linalg.lstsq(rows, np.ones(len(truth)), rcond=None)[0]
    return line[0] + line[1] * encoder + line[2] * llm


def write(folder, rows):
    (folder / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def sized_study(folder, encoders=ENCODERS, llms=LLMS, noise=0.0, **fields):
    rng, rows = np.random.default_rng(0), []
    for encoder in encoders:
        for llm in llms:
            sizes = ENCODER_PARAMS[encoder], LLM_PARAMS[llm]
            each = prices(*sizes)
            for flops in np.geomspace(1e17, 1e20, 6):
                hours = hours_for(flops, *sizes)
                stages = [
                    {"name": stage, "flops": flops * share, "audio_seconds": 3600 * flops * share / each[stage]}
                    for stage, share in SHARES.items()
                ]
                cer = planted_cer(*sizes, hours) * float(np.exp(noise * rng.standard_normal()))
                rows.append(
                    {"strategy": "efin", "encoder": encoder, "llm": llm, "encoder_params": sizes[0],
                     "llm_params": sizes[1], "flops": flops, "budget_flops": flops, "audio_seconds": 3600 * hours,
                     "stages": stages, "seed": 0, "cer": cer, **fields}
                )  # fmt: skip
    return write(folder, rows)


def test_the_best_sizes_and_hours_are_those_of_the_planted_law(tmp_path):
    found = best_sizes(read_table(sized_study(tmp_path)), "efin", 1e19)
    truth = brute_force(1e19)
    assert found.encoder_params == pytest.approx(truth["encoder"], rel=0.03)
    assert found.llm_params == pytest.approx(truth["llm"], rel=0.03)
    assert found.audio_hours == pytest.approx(truth["hours"], rel=0.03)
    assert found.cer == pytest.approx(truth["cer"], rel=1e-5)
    assert min(ENCODER_PARAMS.values()) < 0.9 * found.encoder_params < 0.8 * max(ENCODER_PARAMS.values())
    assert min(LLM_PARAMS.values()) < 0.9 * found.llm_params < 0.8 * max(LLM_PARAMS.values())


def test_with_noise_the_intervals_hold_the_planted_optimum(tmp_path):
    found = best_sizes(read_table(sized_study(tmp_path, noise=0.02)), "efin", 1e19)
    truth = brute_force(1e19)
    for ends, value in (
        (found.encoder_params_interval, truth["encoder"]),
        (found.llm_params_interval, truth["llm"]),
        (found.audio_hours_interval, truth["hours"]),
        (found.cer_interval, truth["cer"]),
    ):
        assert ends[0] < value < ends[1]
        assert ends[1] < 3.0 * ends[0]


def test_a_lifetime_of_recognition_makes_the_best_sizes_smaller(tmp_path):
    table = read_table(sized_study(tmp_path))
    alone, used = best_sizes(table, "efin", 1e20), best_sizes(table, "efin", 1e20, lifetime_hours=3e5)
    truth = brute_force(1e20, lifetime=3e5)
    assert used.llm_params < 0.7 * alone.llm_params
    assert used.llm_params == pytest.approx(truth["llm"], rel=0.1)
    assert used.cer == pytest.approx(truth["cer"], rel=0.01)
    assert used.training_flops + used.inference_flops == pytest.approx(1e20)
    assert used.inference_flops > 0.05e20


def test_hours_that_do_not_exist_buy_larger_models_instead(tmp_path):
    free = best_sizes(read_table(sized_study(tmp_path)), "efin", 1e19)
    (tmp_path / "capped").mkdir()
    capped = best_sizes(read_table(sized_study(tmp_path / "capped", train_hours=2000.0)), "efin", 1e19)
    truth = brute_force(1e19, most_hours=8000.0)
    assert capped.audio_hours == pytest.approx(8000.0, rel=0.005)
    assert capped.encoder_params * capped.llm_params > 1.5 * free.encoder_params * free.llm_params
    assert capped.cer == pytest.approx(truth["cer"], rel=1e-3)
    assert "hours_capped" in {note.code for note in capped.warnings}


def test_an_optimum_at_the_edge_of_the_sizes_is_said(tmp_path):
    found = best_sizes(read_table(sized_study(tmp_path)), "efin", 1e22)
    assert [note.code for note in found.warnings] == ["size_at_edge", "size_at_edge"]


def test_a_size_that_all_runs_share_is_held(tmp_path):
    found = best_sizes(read_table(sized_study(tmp_path, llms=LLMS[1:2])), "efin", 1e19)
    assert (found.llm_params, found.llm_params_interval) == (pytest.approx(LLM_PARAMS[LLMS[1]]), None)
    assert found.encoder_params_interval is not None


@pytest.mark.parametrize(("encoders", "llms"), [(ENCODERS[:2], LLMS[:1]), (ENCODERS, LLMS[:2])])
def test_two_sizes_identify_no_optimum(tmp_path, encoders, llms):
    refused = best_sizes(read_table(sized_study(tmp_path, encoders, llms)), "efin", 1e19)
    assert refused.code == "sizes_not_identified"
    assert best_sizes(read_table(sized_study(tmp_path, ENCODERS[:1], LLMS[:1])), "efin", 1e19) is None


def test_recommend_counts_a_lifetime_of_recognition(tmp_path):
    folder = sized_study(tmp_path, noise=0.001)
    curves, table = curves_of(folder), read_table(folder)
    alone, used = (recommend_for_flops(curves, table, 1e20, lifetime_hours=hours) for hours in (0.0, 5e5))
    assert LLM_PARAMS[used.prediction.curve.llm] < LLM_PARAMS[alone.prediction.curve.llm]
    assert used.flops + used.inference_flops == pytest.approx(1e20)
    curve = used.prediction.curve
    assert used.inference_flops == pytest.approx(5e5 * flops_an_hour(curve.encoder, curve.llm))
    cheap, long = (recommend_for_cer(curves, table, 0.15, lifetime_hours=hours) for hours in (0.0, 1e7))
    assert long.flops > cheap.flops
    assert long.inference_flops < 1e7 * flops_an_hour(cheap.prediction.curve.encoder, cheap.prediction.curve.llm)


def test_models_in_directories_are_priced_through_the_study(tmp_path):
    minis = Path(scaling.__file__).parent / "minis"
    for kind, name in (("encoders", "my-encoder"), ("llms", "my-llm")):
        shutil.copytree(minis / kind / "mini-s", tmp_path / name)
    with pytest.raises(InputError, match="my-encoder"):
        flops_an_hour("my-encoder", "my-llm", tmp_path / "elsewhere")
    models = [{"encoder": str(tmp_path / "my-encoder"), "llm": str(tmp_path / "my-llm")}]
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").write_text(to_yaml({"models": models}))
    assert flops_an_hour("my-encoder", "my-llm", tmp_path / "study") == flops_an_hour("mini-s", "mini-s")


def test_the_verb_prints_sizes_and_lifetime(tmp_path):
    folder = sized_study(tmp_path, noise=0.01)
    asked = ["recommend", str(folder), "--flops", "1e20", "--lifetime-hours", "3e5"]
    answer = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert answer["best_sizes"]["llm_params_interval"][0] < answer["best_sizes"]["llm_params"]
    text = CliRunner().invoke(app, asked).stdout
    assert "best sizes of efin" in text
    assert "hours of recognition take" in text
    with pytest.raises(InputError, match="lifetime-hours"):
        CliRunner().invoke(app, [*asked[:4], "--lifetime-hours", "-1"], catch_exceptions=False)
    refused = json.loads(CliRunner().invoke(app, [*asked[:4], "--lifetime-hours", "1e9", "--json"]).stdout)
    assert refused["flops"] is None
    assert refused["warnings"][0].startswith("lifetime_over_budget")


def test_the_report_tells_the_best_division(tmp_path):
    page = page_without_figures(findings_of(sized_study(tmp_path, llms=LLMS[1:2], noise=0.01)))
    assert "Best division of 1e20 FLOPs" in page
    assert "encoder parameters: " in page
    assert "the same in all runs" in page


BEST = {"encoder": 0.35, "projector": 0.15, "together": 0.5}
DIVISIONS = {
    "efin": (0.2, 0.2, 0.6), "early": (0.6, 0.1, 0.3), "late": (0.1, 0.1, 0.8), "wide": (0.3, 0.4, 0.3),
    "thin": (0.4, 0.05, 0.55), "even": (0.34, 0.33, 0.33), "half": (0.5, 0.2, 0.3),
}  # fmt: skip
STAGES = tuple(BEST)


def loss_of_division(shares):
    """Of the log error: a parabola in the log ratios to the last stage."""
    ratios, best = (np.log(np.array(each[:-1]) / each[-1]) for each in (shares, list(BEST.values())))
    first, second = ratios - best
    return 0.06 * first**2 + 0.03 * second**2 + 0.02 * first * second


def divided_study(folder, divisions=DIVISIONS, noise=0.0):
    rng, rows = np.random.default_rng(0), []
    for name, shares in divisions.items():
        for flops in np.geomspace(1e11, 1e13, 5):
            for seed in range(2):
                stages = [
                    {"name": stage, "objective": "llm", "trains": {stage: 1e-3}, "flops": flops * share}
                    for stage, share in zip(STAGES, shares, strict=True)
                ]
                cer = (0.4 * (flops / 1e11) ** -0.3) * math.exp(
                    loss_of_division(shares) + noise * rng.standard_normal()
                )
                rows.append({"strategy": name, "encoder": "mini-s", "llm": "mini-s", "flops": flops,
                             "budget_flops": flops, "seed": seed, "stages": stages, "cer": cer})  # fmt: skip
    return write(folder, rows)


def shares_of(folder, strategy="efin"):
    (curve,) = curves_of(folder).of(strategy=strategy)
    return best_shares(read_table(folder), curve, 1e13)


def test_the_best_shares_are_those_planted(tmp_path):
    found = shares_of(divided_study(tmp_path))
    for stage, share in BEST.items():
        assert found.shares[stage] == pytest.approx(share, abs=0.01)
    assert found.cer_reduction == pytest.approx(1 - math.exp(-loss_of_division(DIVISIONS["efin"])), abs=0.002)
    assert found.divisions == 7


def test_with_noise_the_intervals_of_shares_hold_them(tmp_path):
    found = shares_of(divided_study(tmp_path, noise=0.01))
    for stage, share in BEST.items():
        low, high = found.intervals[stage]
        assert low < share < high
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_divisions_along_one_line_need_only_three(tmp_path):
    line = {"a": (0.2, 0.2, 0.6), "b": (0.35, 0.1625, 0.4875), "c": (0.55, 0.1125, 0.3375), "d": (0.7, 0.075, 0.225)}
    assert shares_of(divided_study(tmp_path, line), "a").divisions == 4
    (tmp_path / "few").mkdir()
    few = {name: line[name] for name in ("a", "b")}
    assert shares_of(divided_study(tmp_path / "few", few), "a").code == "shares_not_identified"


def test_strategies_that_train_other_parts_are_another_family(tmp_path):
    rows = [json.loads(line) for line in (divided_study(tmp_path) / "runs.jsonl").read_text().splitlines()]
    for row in rows[:10]:
        other = {**row, "strategy": "other", "cer": 0.5 * row["cer"]}
        rows.append({**other, "stages": [{**stage, "trains": {"all": 1e-3}} for stage in row["stages"]]})
    found = shares_of(write(tmp_path, rows))
    assert found.divisions == 7
    assert found.shares["encoder"] == pytest.approx(BEST["encoder"], abs=0.01)


def test_a_single_division_is_no_question(tmp_path):
    assert shares_of(divided_study(tmp_path, {"efin": DIVISIONS["efin"]})) is None


def test_recommend_names_the_best_shares(tmp_path):
    folder = divided_study(tmp_path, noise=0.005)
    text = CliRunner().invoke(app, ["recommend", str(folder), "--flops", "1e13"]).stdout
    assert "best shares of the budget: encoder" in text
