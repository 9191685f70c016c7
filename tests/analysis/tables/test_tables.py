"""Tables from elsewhere: columns by name, rows by expression, stored fits, and what makes a table doubtful."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import analysis
from analysis.cli import app
from analysis.curves.curve_fitting import fit_curves
from analysis.tables.row_filter import select_rows
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import read_table
from scaling.errors import InputError
from scaling.ledger.records import RunRow

PAIR = {"efin": 0.9, "joint": 1.0}
"""Two recipes, and how the error of each compares."""


def asked(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def sizes(tmp_path):
    """A table of 49 rows of a planted Chinchilla law under foreign names, and 7 rows of another set."""
    lines = ["# a remark", "set,params,tokens,eval/loss,flag"]
    for params in np.geomspace(1e8, 1e10, 7):
        for tokens in np.geomspace(1e9, 1e12, 7):
            loss = 1.8 + 480.0 * params**-0.35 + 2085.0 * tokens**-0.37
            lines.append(f"right,{float(params)!r},{float(tokens)!r},{float(loss)!r},False")
        lines.append(f"wrong,{float(params)!r},1e9,9.0,True")
    file = tmp_path / "sizes.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_columns_and_rows_are_named_and_the_stored_fit_answers_for_points_and_tables(sizes, tmp_path):
    stored = tmp_path / "FIT.json"
    columns = "N=params,D=tokens,y=eval/loss"
    document = asked("fit", sizes, "--law", "chinchilla", "--columns", columns, "--where", "set == 'right'",
                     "--loss", "log_huber", "--out", stored)  # fmt: skip
    (entry,) = document["fits"]
    assert entry["n"] == 49
    assert entry["loss"] == "log_huber"
    for name, value in {"E": 1.8, "A": 480.0, "B": 2085.0, "alpha": 0.35, "beta": 0.37}.items():
        assert entry["theta"][name] == pytest.approx(value, rel=1e-6)
    truth = 1.8 + 480.0 * 7e9**-0.35 + 2085.0 * 4e12**-0.37
    point = asked("predict", stored, "--at", "N=7e9,D=4e12")
    assert point["value"] == pytest.approx(truth, rel=1e-9)
    assert {"curve_interval", "interval", "calibrated_interval", "warnings"} <= set(point)
    rows = asked("predict", stored, "--table", sizes)
    assert len(rows) == 56
    assert rows[0]["value"] == pytest.approx(1.8 + 480.0 * 1e8**-0.35 + 2085.0 * 1e9**-0.37, rel=1e-9)


def test_places_in_other_columns_are_answered_by_the_law_in_these_columns(sizes, tmp_path):
    chosen = ("--columns", "N=params,D=tokens,y=eval/loss", "--where", "set == 'right'")
    truth = 1.8 + 480.0 * 7e9**-0.35 + 2085.0 * 4e12**-0.37
    point = asked("predict", sizes, "--at", "N=7e9,D=4e12", *chosen)
    assert point["value"] == pytest.approx(truth, rel=1e-3)
    runs = analysis.read(sizes, columns={"N": "params", "D": "tokens", "y": "eval/loss"}, where="set == 'right'")
    assert analysis.predict(runs, at={"N": 7e9, "D": 4e12}).value == pytest.approx(point["value"], rel=1e-9)


@pytest.mark.parametrize(
    ("column", "name"), [("WER (%)", "WER"), ("eval/loss", "loss"), ("cer", "CER"), ("err", "error")]
)
def test_answers_call_the_error_what_its_column_says(tmp_path, column, name):
    file = tmp_path / "runs.csv"
    rows = [
        (c, recipe, f * (0.02 + 4e4 * c**-0.31)) for c in (1e17, 3e17, 1e18, 3e18, 1e19) for recipe, f in PAIR.items()
    ]
    scale = 100 if "%" in column else 1
    file.write_text(
        "\n".join([f"flops,recipe,{column}", *(f"{c},{recipe},{scale * y}" for c, recipe, y in rows)]) + "\n"
    )
    for verb in (["predict", "--flops", "5e19"], ["recommend", "--flops", "5e19"], ["compare", "--baseline", "joint"]):
        answer = CliRunner().invoke(app, [verb[0], str(file), *verb[1:]]).stdout.split("!")[0]
        assert {word for word in ("CER", "WER", "loss", "error") if re.search(rf"\b{word}\b", answer)} == {name}, answer


def test_compare_without_a_baseline_names_the_strategies(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("flops,recipe,cer\n" + "".join(f"{c},{r},{c**-0.05}\n" for c in (1e17, 1e18, 1e19) for r in PAIR))
    with pytest.raises(InputError, match="--baseline is missing; expected the strategy to compare with: efin, joint"):
        CliRunner().invoke(app, ["compare", str(file)], catch_exceptions=False)


def test_a_file_that_is_not_there_is_told_with_the_nearest_that_is(sizes, tmp_path):
    with pytest.raises(InputError, match=r"expected a folder or a table; did you mean '.*/sizes\.csv'\?$"):
        read_table(tmp_path / "size.csv")
    with pytest.raises(InputError, match=r"x\.csv: not found; expected a folder or a table$"):
        read_table(tmp_path / "x.csv")


def test_a_missing_column_is_never_thought_to_be_one_that_was_understood_as_another(tmp_path):
    file = tmp_path / "sizes.csv"
    file.write_text("N,D,loss\n1e8,1e10,3.1\n1e9,1e10,2.9\n")
    with pytest.raises(InputError) as refused:
        read_table(file).require("flops")
    assert str(refused.value) == (
        f"{file}: no column 'flops'; name it with --columns C=NAME, or ask for a law in N and D: fit --law chinchilla;"
        " Valid: D, N"
    )


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("set == 'right'", 49),
        ("flag != True", 49),
        ("flag == True and params > 1e9", 3),
        ("not (tokens < 1e10 or set == 'wrong')", 35),
        ("params in [1e8, 1e10]", 16),
        ("1e9 < params <= 1e10", 24),
        ("`eval/loss` > 8", 7),
    ],
)
def test_rows_are_selected_by_an_expression(sizes, expression, rows):
    assert len(select_rows(read_table(sizes), expression).rows) == rows


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("parms > 1", "did you mean 'params'"),
        ("__import__('os')", "is not a comparison"),
        ("params > (lambda: 1)()", "is neither a column"),
        ("params >", "invalid syntax"),
        ("params > 1e30", "no row"),
        ("params.real > 1", "is neither a column"),
        ("params > " + "-" * 100_000 + "1", "100010 characters; expected at most 10000"),
        ("params > " + "-" * 9_000 + "1", "nested too deeply|is neither a column"),
        ("params > " + "(" * 5_000 + "1" + ")" * 5_000, "characters; expected at most"),
        ("not " * 2_000 + "params > 1", "nested too deeply|no row"),
        ("set == '\udcff'", "not valid UTF-8"),
    ],
)
def test_expressions_are_never_run_as_code(sizes, expression, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        select_rows(read_table(sizes), expression)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"flops": 1}\nnot json\n', "a.jsonl:2: not valid JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected a JSON object"),
        ("a.csv", "flops,cer\n1,2,3\n", "a.csv:2"),
        ("a.csv", "flops,cer\n", "no rows"),
        ("a.xls", "x", "a workbook; save the sheet with the runs as CSV"),
        ("a.log", "x", "unknown kind of table '.log'"),
        ("a.csv", "flips,cer\n1,2\n", "no column 'flops'; name it with --columns C=NAME; did you mean 'flips'"),
    ],
)
def test_malformed_tables_are_refused_with_their_line(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(InputError) as error:
        points_of(read_table(file))
    assert message in str(error.value)


def test_parquet_is_read_like_csv(sizes, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.read_csv(sizes, comment="#").to_parquet(tmp_path / "sizes.parquet")
    assert len(read_table(tmp_path / "sizes.parquet").rows) == 56


def table(tmp_path, rows):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_table(file)


def grid(**more):
    return [{"flops": float(c), "cer": 0.05 + 0.3 * (c / 1e11) ** -0.3, **more} for c in np.geomspace(1e11, 1e14, 7)]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (grid()[:3], "too_few_points"),
        (grid()[:4], "narrow_range"),
        ([{**row, "cer": 0.97} for row in grid()], "all_at_chance"),
        ([{**row, "cer": 1 / (1 + row["flops"] / 1e12)} for row in grid()], "some_at_chance"),
        ([*grid()[1:], {"flops": 1e11, "cer": 0.95}], "failed_run"),
        ([*({**row, "cer": 0.98} for row in grid()[:-1]), {"flops": 1e14, "cer": 0.1}], "one_below_chance"),
        ([{**row, "test_digest": str(i)} for i, row in enumerate(grid())], "unequal_tests"),
        (grid(lr_at_grid_edge=True), "undertuned"),
        (grid(batch_at_grid_edge=True), "undertuned"),
        (grid(epochs=6.0), "repeated_data"),
    ],
)
def test_doubtful_points_are_remarked_on(tmp_path, rows, code):
    (curve,) = fit_curves(table(tmp_path, rows)).curves
    assert code in {note.code for note in curve.warnings}


@pytest.mark.parametrize(("last", "narrow"), [(0.9999, False), (0.9, True)])
def test_runs_that_end_some_steps_beside_their_budgets_span_the_decades_planned(tmp_path, last, narrow):
    rows = grid()[:5]  # two decades
    (curve,) = fit_curves(table(tmp_path, [*rows[:-1], {**rows[-1], "flops": last * rows[-1]["flops"]}])).curves
    assert ("narrow_range" in {note.code for note in curve.warnings}) is narrow


def test_runs_that_count_flops_differently_are_refused(tmp_path):
    rows = [{**row, "flop_convention": "charged-v1" if i % 2 else "6ND"} for i, row in enumerate(grid())]
    with pytest.raises(InputError, match="count FLOPs differently"):
        fit_curves(table(tmp_path, rows))


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({"flops": 1e11, "cer": float("nan")}, "no_error_rate"),
        ({"flops": 1e15, "cer": 0.0, "ref_chars": 1000}, "zero_error"),
        ({"flops": 1e15, "cer": 0.0}, "zero_error"),
        ({"flops": 1e11, "cer": 0.35, "key": "a"}, "duplicate"),
    ],
)
def test_rows_left_out_or_changed_are_named(tmp_path, extra, code):
    rows = [*grid(), {"flops": 1e11, "cer": 0.35, "key": "a"}, extra]
    _, notes = points_of(table(tmp_path, rows))
    assert code in {note.code for note in notes}


def test_errors_above_one_are_allowed(tmp_path):
    rows = [{**row, "cer": 3.0 * row["cer"]} for row in grid()]
    (curve,) = fit_curves(table(tmp_path, rows), law="power_floor").curves
    assert curve.fit.theta["E"] == pytest.approx(0.15, rel=1e-6)


def test_replicates_without_seeds_are_averaged(tmp_path):
    rows = [{**row, "cer": row["cer"] * scale} for row in grid() for scale in (0.9, 1.1)]
    (curve,) = fit_curves(table(tmp_path, rows)).curves
    assert curve.fit.n == 7
    assert curve.fit.theta["b"] == pytest.approx(0.3, rel=1e-6)


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"runs\.jsonl: not found"):
        read_table(tmp_path)


def test_columns_that_analysis_reads_from_runs_are_fields_of_a_run():
    patterns = (
        r"\brow(?:\.get\(|\[)\"(\w+)\"",
        r"rows\[[^\]]+\]\.get\(\"(\w+)\"",
        r"number\(\w+, \"(\w+)\"",
        r"_values\(table, points, \"(\w+)\"",
    )
    folders = [Path(analysis.__file__).parent / part for part in ("curves", "tables", "comparing", "recommending")]
    text = "".join(file.read_text() for folder in folders for file in folder.glob("*.py"))
    columns = {name for pattern in patterns for name in re.findall(pattern, text)}
    assert {"strategy", "budget_flops", "test_digest", "epochs", "key"} <= columns
    in_other_tables = {"cer_chance", "name"}
    within_a_row = {"steps", "device", "hardware"}  # of its stages, and of its provenance
    assert columns - in_other_tables - within_a_row - {"schema"} <= set(RunRow.model_fields)


VERBS = {
    "fit": [],
    "laws": [],
    "predict": ["--flops", "1e12"],
    "compare": ["--baseline", "joint"],
    "recommend": ["--flops", "1e12"],
    "frontier": ["--columns", "N=llm_params"],
    "coverage": [],
    "design": ["--flops", "1e12", "--spend", "1e12"],
    "forecast": [],
    "report": [],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("columns", [{}, {"flops": 1e10, "budget_flops": 1e10}])
def test_every_verb_says_that_all_runs_have_diverged(verb, columns, tmp_path):
    row = {"strategy": "joint", "cer": None, "status": "diverged", "cause": "loss nan at step 9", **columns}
    rows = [{**row, "key": str(number)} for number in range(6)]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=r"no run succeeded \(6 diverged\); .*the first: loss nan at step 9"):
        app([verb, str(tmp_path), *VERBS[verb]], standalone_mode=False)
