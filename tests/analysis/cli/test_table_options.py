"""Every verb that reads a table takes the same options to choose columns, rows and curves, and reads stored fits."""

import json
import shutil

import numpy as np
import pytest

VERBS = {
    "fit": [],
    "predict": ["--flops", "1e21"],
    "laws": ["--strategy", "far"],
    "compare": ["--baseline", "near"],
    "recommend": ["--flops", "1e21"],
    "coverage": ["--sets", "2"],
    "design": ["--flops", "1e21", "--spend", "1e20"],
    "report": ["--out", "page"],
    "frontier": [],
    "forecast": [],
}
CHOSEN = ["--columns", "C=work,y=dev score:percent", "--where", "`test set` == 'clean'", "--group", "microphone"]


def planted(flops, scale, size=1.0):
    """Planted errors: a valley in size that moves with compute."""
    return scale * (0.04 + 0.3 * (flops / 1e17) ** -0.25) * (1.0 + 0.05 * np.log(size) ** 2)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_table(tmp_path)


def write_table(folder):
    """A table whose columns nobody could guess: two curves at 1 and 1.5 times the error, and rows of another test."""
    lines = ["microphone,work,params,dev score,score,test set"]
    for name, scale in (("near", 1.0), ("far", 1.5)):
        for flops in np.geomspace(1e17, 1e20, 7).tolist():
            for size in (0.25, 0.5, 1.0, 2.0, 4.0):
                error = 100.0 * float(planted(flops, scale, size))
                params = 1e8 * size * (flops / 1e17) ** 0.5
                lines.append(f"{name},{flops!r},{params!r},{error!r},x,clean")
                lines.append(f"{name},{flops!r},{params!r},{3.0 * error!r},x,noisy")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return folder / "t.csv"


def answered(asr_scaling, *arguments):
    found = asr_scaling(*arguments, "--json")
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.fixture(scope="module")
def kept(tmp_path_factory, asr_scaling):
    """What `fit --out` wrote of the table, whose folder is gone."""
    elsewhere, folder = tmp_path_factory.mktemp("elsewhere"), tmp_path_factory.mktemp("kept")
    answered(asr_scaling, "fit", write_table(elsewhere), *CHOSEN, "--out", folder / "fits")
    shutil.rmtree(elsewhere)
    return folder / "fits"


@pytest.mark.parametrize(
    "verb",
    # Two reports of ten seconds; test_pictures_of_tables.py writes one of stored fits and one of chosen curves.
    [pytest.param(verb, marks=[pytest.mark.slow] * (verb == "report")) for verb in VERBS if verb != "forecast"],
)
def test_every_verb_reads_a_table_whose_columns_rows_and_curves_are_named_and_its_fits_without_it(
    verb, table, kept, asr_scaling
):
    assert asr_scaling(verb, table, *VERBS[verb]).returncode == 2
    curve = ["--strategy", "near"] if verb == "frontier" else []
    found = answered(asr_scaling, verb, table, *VERBS[verb], *CHOSEN, *curve)
    assert found
    assert answered(asr_scaling, verb, kept, *VERBS[verb], *curve) == found


def test_the_rows_and_columns_chosen_are_those_answered_for(table, asr_scaling):
    ask = ("predict", table, "--flops", "1e20", *CHOSEN)
    assert answered(asr_scaling, *ask)["strategy"] == "near"
    far = answered(asr_scaling, *ask, "--strategy", "far")
    assert far["cer"] == pytest.approx(1.5 * answered(asr_scaling, *ask)["cer"], rel=0.02)
    noisy = ["--where", "`test set` == 'noisy' and microphone == 'far'"]
    assert answered(asr_scaling, *ask, *noisy)["cer"] == pytest.approx(3.0 * far["cer"], rel=0.05)


def test_answers_do_not_depend_on_which_curves_are_asked_about(write_study, asr_scaling):
    folder = write_study(noise=0.05, encoders=("mini-s", "mini-m"), strategies=("efin", "joint"))
    every = answered(asr_scaling, "fit", folder)["fits"]
    one = answered(asr_scaling, "fit", folder, "--strategy", "joint", "--encoder", "mini-m", "--llm", "mini-m")["fits"]
    assert one == [entry for entry in every if (entry["strategy"], entry["encoder"]) == ("joint", "mini-m")]
    (pair,) = answered(
        asr_scaling, "compare", folder, "--baseline", "joint", "--strategy", "efin", "--encoder", "mini-s"
    )
    assert (pair["encoder"], pair["baseline_encoder"]) == ("mini-s", "mini-s")
    advice = answered(asr_scaling, "recommend", folder, "--flops", "1e14", "--encoder", "mini-s")
    assert advice["encoder"] == "mini-s"
    assert {
        entry["encoder"] for entry in answered(asr_scaling, "coverage", folder, "--sets", "1", "--encoder", "mini-s")
    } == {"mini-s"}


def test_a_frontier_is_of_one_strategy(table, asr_scaling):
    refused = asr_scaling("frontier", table, *CHOSEN)
    assert refused.returncode == 2
    assert "which of far, near? Give --strategy, or --group none" in refused.stderr
    near = answered(asr_scaling, "frontier", table, *CHOSEN, "--strategy", "near")
    assert near["exponent"] == pytest.approx(0.5, abs=0.01)
    assert answered(asr_scaling, "frontier", table, *CHOSEN, "--group", "none")["exponent"] == pytest.approx(
        0.5, abs=0.05
    )


def test_what_is_no_folder_has_no_forecasts(table, asr_scaling):
    refused = asr_scaling("forecast", table)
    assert refused.returncode == 2
    assert "not a folder; expected a study's folder" in refused.stderr


def test_a_table_that_names_no_models_says_so(table, asr_scaling):
    for verb in ("predict", "laws"):
        refused = asr_scaling(verb, table, *CHOSEN, "--flops", "1e20", "--encoder", "whisper-small")
        assert refused.returncode == 2
        assert "encoder: no run has 'whisper-small'; the table names none" in refused.stderr


@pytest.mark.parametrize("option", ["strategy", "encoder", "llm"])
def test_a_curve_that_is_not_there_is_named_with_the_nearest(option, write_study, asr_scaling):
    folder = write_study()
    for verb in ("predict", "laws"):
        found = asr_scaling(verb, folder, *(["--flops", "1e14"]), f"--{option}", "mini-ss")
        assert found.returncode == 2
        assert f"{option}: no run has 'mini-ss'" in found.stderr


@pytest.mark.parametrize("name", ["fits.json", "fits", "fits.csv", "fits.parquet", "fits.v2", "folder"])
def test_stored_fits_are_read_under_any_name(name, write_study, tmp_path, asr_scaling):
    (tmp_path / "folder").mkdir()
    folder = write_study(strategies=("efin",))
    answered(asr_scaling, "fit", folder, "--law", "power", "--out", tmp_path / name)
    found = answered(asr_scaling, "predict", tmp_path / name, "--flops", "1e14")
    assert found["law"] == "power"
    assert (
        answered(asr_scaling, "predict", tmp_path / name, "--flops", "1e14", "--where", "seed == 0")["law"] == "power"
    )


def test_stored_fits_never_take_the_place_of_something_else(table, write_study, asr_scaling):
    before = table.read_bytes()
    refused = asr_scaling("fit", table, *CHOSEN, "--out", table)
    assert refused.returncode == 2
    assert "holds something else than fits" in refused.stderr
    assert table.read_bytes() == before
    for out, message in (("/dev/null", "holds something else"), ("there/kept", "there is no folder there")):
        refused = asr_scaling("fit", table, *CHOSEN, "--out", out)
        assert refused.returncode == 2
        assert message in refused.stderr
    study = write_study()
    for source, options in ((table, CHOSEN), (study, ["--where", "seed == 0"])):
        refused = asr_scaling("fit", source, *options, "--out", study)
        assert refused.returncode == 2
        assert "keeps the fits of all its own runs" in refused.stderr


def test_the_fits_of_a_study_name_its_table_wherever_it_lies(write_study, tmp_path, asr_scaling):
    lost = {"cer": None, "status": "ok"}
    folder = write_study(strategies=("efin",), change=lambda row: {**row, **(lost if row["seed"] else {})})
    answered(asr_scaling, "fit", folder)
    stored = (folder / "fits.json").read_text()
    assert str(tmp_path) not in stored
    moved = folder.rename(tmp_path / "moved")
    found = answered(asr_scaling, "predict", moved, "--flops", "1e14")
    assert any(f"{moved / 'runs.jsonl'}:2" in line for line in found["warnings"])
    assert (moved / "fits.json").read_text() == stored


@pytest.mark.parametrize("damage", [lambda text: text[:-200], lambda text: text.replace('"n', '"m', 1)])
def test_stored_fits_that_were_changed_are_refused(damage, write_study, tmp_path, asr_scaling):
    file = tmp_path / "kept.csv"
    answered(asr_scaling, "fit", write_study(), "--out", file)
    file.write_text(damage(file.read_text()))
    found = asr_scaling("predict", file, "--flops", "1e14")
    assert found.returncode == 2
    assert "kept.csv" in found.stderr


def test_a_forecast_is_held_against_fits_of_the_rows_chosen(write_study, asr_scaling):
    folder = write_study(strategies=("efin", "joint"))
    rows = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    largest = max(row["flops"] for row in rows)
    (folder / "forecast").mkdir()
    unseen = [json.dumps(row) for row in rows if row["flops"] == largest]
    (folder / "forecast" / "runs.jsonl").write_text("\n".join(unseen) + "\n")
    found = answered(asr_scaling, "forecast", folder, "--where", f"flops < {largest}", "--strategy", "joint")
    assert [entry["strategy"] for entry in found] == ["joint", "joint"]
    assert all(entry["extrapolation"] > 2.0 and entry["inside"] for entry in found)
