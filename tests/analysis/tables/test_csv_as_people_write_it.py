"""Tables as people write them: what is understood of each, said once on stderr, and what is doubted.

Every table but the doubtful ones holds the same runs: error .04 + .36 (C / 1e17)^-.3 at budgets of 1e17 to 1e20 FLOPs.
"""

import json

import numpy as np
import pytest

from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import read_table
from scaling.errors import InputError

FLOPS = [float(f"{c:.3g}") for c in np.geomspace(1e17, 1e20, 7)]
ERRORS = [float(f"{0.04 + 0.36 * (c / 1e17) ** -0.3:.5g}") for c in FLOPS]
RUNS = list(zip(FLOPS, ERRORS, strict=True))


def table_of(header, line, *more):
    return "\n".join([header, *(line(c, y) for c, y in RUNS), *more]) + "\n"


def german(value):
    return f"{value:.5g}".replace(".", ",")


def long_form():
    """Two values of each tag for every run, the last first, as TensorBoard's data frames may have them."""
    lines = ["run,tag,step,value,wall_time"]
    for c, y in RUNS:
        values = [(20, "eval/cer", y), (20, "total_flops", c), (9, "eval/cer", 2 * y), (9, "total_flops", c / 2)]
        lines += [f"run-{c:g},{tag},{step},{value!r},0" for step, tag, value in values]
    return "\n".join(lines) + "\n"


UNDERSTOOD = {
    "tensorboard_long.csv": (
        long_form(),
        ["7 runs in 28 rows of a run, a tag and a step: each tag at its last step", "flops: column 'total_flops'",
         "cer: column 'eval/cer'"],
    ),
    "plain.csv": (table_of("flops,cer", lambda c, y: f"{c!r},{y!r}"), []),
    "capitals.csv": (
        table_of("Compute,CER,Params,Tokens", lambda c, y: f"{c:.3g},{100 * y:.5g}%,244M,1.5B"),
        ["flops: column 'Compute'", "cer: column 'CER', percent, divided by 100",
         "N: column 'Params', units read as in '244M'", "D: column 'Tokens', units read as in '1.5B'"],
    ),
    "wandb_export.csv": (
        table_of('"Name","State","Notes","train_flops","eval/cer","train/cer"',
                 lambda c, y: f'"run-{c:g}","finished","-","{c!r}","{y!r}","{y / 2!r}"',
                 '"run-x","crashed","out of memory","3e20","0.9",""', '"run-y","running","","1e21","0.8",""',
                 '"run-z","failed","","1e21","",""'),
        ["status: column 'State'; left out: run-x (crashed), run-y (running), run-z (failed)",
         "flops: column 'train_flops'", "cer: column 'eval/cer'"],
    ),
    "tensorboard_hparams.csv": (
        table_of("trial_id,show,lr,compute,cer,status", lambda c, y: f"{c:g},true,0.001,{c!r},{y!r},STATUS_SUCCESS",
                 "x,true,0.1,3e20,0.9,STATUS_RUNNING"),
        ["status: column 'status'; left out: x (running)", "flops: column 'compute'"],
    ),
    "excel_german.csv": (
        "sep=;\n" + table_of("FLOPs;CER in %;Kommentar", lambda c, y: f"{german(c / 1e17)}e17;{german(100 * y)};gut"),
        ["flops: column 'FLOPs', with decimal commas",
         "cer: column 'CER in %', percent, divided by 100, with decimal commas"],
    ),
    "tabs.tsv": (
        table_of("C\tWER (%)\tN", lambda c, y: f"{c:.3e}\t{100 * y:.5g}\t244,000,000"),
        ["flops: column 'C'", "wer: column 'WER (%)', percent, divided by 100"],
    ),
    "thousands.csv": (
        table_of("total_gflops,error_rate", lambda c, y: f'"{round(c / 1e9):,}",{y!r}'),
        ["flops: column 'total_gflops', times 1e+09", "error: column 'error_rate'"],
    ),
    "percent_without_a_sign.csv": (
        table_of("budget,wer", lambda c, y: f"{c:g},{100 * y:.5g}"),
        ["flops: column 'budget'",
         f"wer: column 'wer', percent by its values ({100 * ERRORS[-1]:g} to 40), divided by 100"],
    ),
    "powers.csv": (
        table_of("Training FLOPs | Test CER".replace(" | ", "|"),
                 lambda c, y: f"{c / 10 ** int(np.log10(c)):.3g} \u00d7 10^{int(np.log10(c))}|{y!r} \u00b1 0.003"),
        ["flops: column 'Training FLOPs'", "cer: column 'Test CER'"],
    ),
    "units.csv": (
        table_of("Compute (EFLOPs), CER ,params_millions,Tokens (B)", lambda c, y: f"{c / 1e18!r}, {y!r} ,244,1.5"),
        ["flops: column 'Compute (EFLOPs)', times 1e+18", "cer: column 'CER'",
         "N: column 'params_millions', times 1e+06", "D: column 'Tokens (B)', times 1e+09"],
    ),
    "pandas_index.csv": (
        "# exported\n" + table_of(",flops,cer,", lambda c, y: f"{c:g},{c!r},{y!r},", ",,,", ""), [],
    ),
    "zeros_and_gaps.csv": (
        table_of("FLOPs,CER,dev CER", lambda c, y: f"{c!r},{y!r},{y * 1.1!r}", "2e20,n/a,", "3e20,-,"),
        ["flops: column 'FLOPs'", "cer: column 'CER'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_table_is_understood_and_what_was_understood_is_said_once(tmp_path, asr_scaling, name):
    text, said = UNDERSTOOD[name]
    file = tmp_path / name
    file.write_text(text)
    found = asr_scaling("fit", file, "--json")
    assert found.returncode == 0, found.stderr
    assert found.stderr.splitlines() == [f"{file}: {remark}" for remark in said]
    (fitted,) = json.loads(found.stdout)["fits"]
    assert fitted["n"] == 7
    assert fitted["theta"]["b"] == pytest.approx(0.3, rel=0.01)
    assert fitted["theta"]["E"] == pytest.approx(0.04, rel=0.02)
    points, _ = points_of(read_table(file))
    assert [point.flops for point in points] == pytest.approx(FLOPS, rel=1e-2)
    assert [point.cer for point in points] == pytest.approx(ERRORS, rel=1e-3)


DOUBTED = {
    "two_tests.csv": (
        "flops,dev_cer,test_cer\n1e18,.2,.3\n1e19,.1,.2\n",
        ["'dev_cer', 'test_cer'", "--columns y=dev_cer"],
    ),
    "two_computes.csv": (
        "train_flops,total_flops,cer\n1e18,2e18,.2\n",
        ["'train_flops', 'total_flops'", "C=train_flops"],
    ),
    "percent_or_fraction.csv": (
        "flops,cer\n1e18,3.1\n1e19,1.1\n1e20,.8\n",
        ["0.8 to 3.1", "y=cer:percent", "y=cer:fraction"],
    ),
    "mixed_signs.csv": (
        "flops,cer\n1e18,24.1%\n1e19,.2\n",
        ["'cer' has values with a percent sign and values without"],
    ),
    "no_unit.csv": ("compute,cer\n1,.3\n3,.2\n10,.1\n", ["values up to 10: in which unit?", "C=compute:EFLOPs"]),
    "comma.csv": ("flops;wer\n1e18;1,234\n1e19;1,105\n", ["the comma in its numbers"]),
    "no_error.csv": ("flops,accuracy\n1e18,.9\n", ["no column 'cer'", "Valid: accuracy\n"]),
    "headed_twice.csv": ("flops,cer,cer\n1e18,.2,.3\n", ["names 'cer' more than once"]),
    "words.csv": ("flops,cer\n1e18,.3\n1e19,.2\n1e20,good\n", ["words.csv:4: cer is 'good', expected a number"]),
    "all_crashed.csv": (
        "Name,State,flops,cer\na,crashed,1e18,.2\nb,failed,1e19,.1\n",
        ["no run succeeded (1 crashed, 1 failed)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTED)
def test_doubt_is_an_error_that_names_the_columns_and_the_way_out(tmp_path, asr_scaling, name):
    text, told = DOUBTED[name]
    file = tmp_path / name
    file.write_text(text)
    found = asr_scaling("fit", file)
    assert found.returncode == 2
    assert found.stdout == ""
    for part in told:
        assert part in found.stderr


@pytest.mark.parametrize(("unit", "first"), [("percent", 0.031), ("fraction", 3.1)])
def test_the_user_settles_a_doubt_about_a_unit(tmp_path, asr_scaling, unit, first):
    file = tmp_path / "runs.csv"
    file.write_text("flops,cer\n1e18,3.1\n1e19,1.1\n1e20,.8\n")
    found = asr_scaling("fit", file, "--columns", f"y=cer:{unit}", "--out", tmp_path / "fits.json", "--json")
    assert found.returncode == 0, found.stderr
    assert f"cer: column 'cer', {unit}" in found.stderr
    predicted = json.loads(asr_scaling("predict", tmp_path / "fits.json", "--flops", "1e18", "--json").stdout)
    assert predicted["cer"] == pytest.approx(first, rel=0.3)


def test_a_named_column_settles_which_of_two_is_meant(tmp_path, asr_scaling):
    file = tmp_path / "runs.csv"
    file.write_text("flops,dev_cer,test_cer\n" + "".join(f"{c!r},{2 * y!r},{100 * y!r}%\n" for c, y in RUNS))
    found = asr_scaling("fit", file, "--columns", "y=test_cer", "--json")
    assert f"{file}: cer: column 'test_cer', percent, divided by 100" in found.stderr
    assert json.loads(found.stdout)["fits"][0]["theta"]["E"] == pytest.approx(0.04, rel=0.02)


def test_unicode_text_of_a_spreadsheet_is_read(tmp_path):
    file = tmp_path / "export.txt"
    file.write_bytes("FLOPs\tCER\n1e18\t20 %\n".encode("utf-16"))
    assert read_table(file).number(0, "cer") == pytest.approx(0.2)


def test_a_study_of_this_product_is_taken_as_it_is(tmp_path, write_study, capsys):
    folder = write_study(change=lambda row: {**row, "schema": "asr-scaling/run-1", "cer": 100.0 * row["cer"]})
    read = read_table(folder)
    assert read.remarks == ()
    assert capsys.readouterr().err == ""
    assert read.number(0, "cer") > 1.0


def test_a_named_column_that_is_not_there_is_refused(tmp_path, asr_scaling):
    file = tmp_path / "runs.csv"
    file.write_text("flops,cer\n1e18,.2\n")
    found = asr_scaling("fit", file, "--columns", "y=wer:percent")
    assert found.returncode == 2
    assert "no column 'wer:percent'" in found.stderr
    with pytest.raises(InputError, match="no unit"):
        points_of(_chosen(file, "y=cer:permille"))


def _chosen(file, columns):
    from analysis.cli.option_texts import choice_of

    return choice_of(columns, None, None, None, None, None).table(file)


def test_an_error_that_is_infinite_says_nothing_of_the_unit_of_the_others(tmp_path):
    file = tmp_path / "blown_up.csv"
    file.write_text(table_of("flops,cer", lambda c, y: f"{c!r},{y!r}", "1e21,inf"))
    points, notes = points_of(read_table(file))
    assert [point.cer for point in points] == ERRORS
    assert [note.code for note in notes] == ["no_error_rate"]


@pytest.mark.parametrize("end", ["__MIN", "__MAX", ".min", "/mean", "_last"])
def test_a_column_that_sums_up_another_raises_no_doubt_beside_it_and_is_taken_alone(end, tmp_path):
    both, alone = tmp_path / "both.csv", tmp_path / "alone.csv"
    both.write_text(table_of(f"flops,eval/cer{end},eval/cer", lambda c, y: f"{c!r},{y / 2!r},{y!r}"))
    alone.write_text(table_of(f"flops,eval/cer{end}", lambda c, y: f"{c!r},{y!r}"))
    for file in (both, alone):
        assert [point.cer for point in points_of(read_table(file))[0]] == ERRORS


def test_an_expression_that_compares_text_with_a_number_is_told_where_the_numbers_are(tmp_path, asr_scaling):
    file = tmp_path / "runs.csv"
    file.write_text("flops,CER\n1e18,24%\n1e19,12%\n")
    found = asr_scaling("fit", file, "--where", "CER < .2")
    assert found.returncode == 2
    assert "'CER' is text, such as '24%', and its numbers are the column 'cer'" in found.stderr
