"""The functions for notebooks: they take what people have, and say what the verbs say."""

import json
import subprocess
import sys

import numpy as np
import pytest

import analysis
from scaling.errors import InputError

OFFERED = {"read", "fit", "predict", "compare", "recommend", "plot"}
BUDGETS = [1e17, 1e18, 1e19, 1e20]
ROWS = [
    {"recipe": recipe, "compute": flops, "eval/cer": scale * (0.04 + 0.3 * (flops / 1e17) ** -0.3)}
    for recipe, scale in (("<b>wide</b>", 1.0), ("deep", 1.3))
    for flops in BUDGETS
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


def frame():
    return pytest.importorskip("pandas").DataFrame(ROWS)


@pytest.fixture
def csv(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("\n".join([",".join(COLUMNS), *(",".join(map(str, row.values())) for row in ROWS)]) + "\n")
    return file


@pytest.fixture(scope="module")
def laws():
    return analysis.fit(ROWS)


def test_importing_takes_nothing_and_completion_offers_everything():
    ask = "import sys, json, analysis; print(json.dumps([dir(analysis), 'numpy' in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    offered, slow = json.loads(done.stdout)
    assert set(offered) >= OFFERED
    assert not slow
    assert all(getattr(analysis, name).__doc__.count(">>>") > 1 for name in OFFERED)
    assert not hasattr(analysis, "predicts")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda csv: csv, id="path"),
        pytest.param(str, id="text"),
        pytest.param(lambda _: ROWS, id="rows"),
        pytest.param(lambda _: COLUMNS, id="lists"),
        pytest.param(lambda _: {name: np.array(values) for name, values in COLUMNS.items()}, id="arrays"),
        pytest.param(lambda _: frame(), id="data frame"),
        pytest.param(lambda _: analysis.read(ROWS), id="runs"),
        pytest.param(lambda _: analysis.fit(ROWS), id="laws"),
    ],
)
def test_whatever_holds_the_runs_the_answer_is_that_of_the_verb(given, csv, asr_scaling):
    found = asr_scaling("predict", csv, "--flops", "1e21", "--json")
    said = json.loads(json.dumps(dict(analysis.predict(given(csv), 1e21))))
    assert said == json.loads(found.stdout)


def test_answers_have_the_fields_that_the_verbs_print(csv, asr_scaling):
    (compared,) = json.loads(asr_scaling("compare", csv, "--baseline", "deep", "--json").stdout)
    advised = json.loads(asr_scaling("recommend", csv, "--cer", ".1", "--json").stdout)
    (answer,) = analysis.compare(csv, "deep")
    assert json.loads(json.dumps(dict(answer), default=list)) == compared
    assert json.loads(json.dumps(dict(analysis.recommend(csv, cer=0.1)), default=list)) == advised


def test_scalars_give_one_answer_and_lists_give_many(laws):
    one = analysis.predict(laws, 1e21, strategy="deep")
    many = analysis.predict(laws, np.array([1e20, 1e21]), strategy="deep")
    assert one.cer == many[1].cer
    assert many.to_frame()["cer"].tolist() == [answer.cer for answer in many]
    assert {"cer", "interval", "warnings"} <= set(dir(one))
    with pytest.raises(AttributeError, match="did you mean 'cer'"):
        _ = one.cerr


def test_laws_in_parameters_and_tokens_are_asked_at_places():
    sizes = [(n, d) for n in (1e8, 1e9, 1e10) for d in (1e9, 1e10, 1e11)]
    table = {"params": [n for n, _ in sizes], "tokens": [d for _, d in sizes]}
    table["loss"] = [1.8 + 480.0 * n**-0.35 + 2085.0 * d**-0.37 for n, d in sizes]
    laws = analysis.fit(table, law="chinchilla")
    assert laws.theta["all"]["alpha"] == pytest.approx(0.35, rel=1e-4)
    answer = analysis.predict(laws, at={"N": 3e10, "D": 1e12})
    assert answer.value == pytest.approx(1.8 + 480.0 * 3e10**-0.35 + 2085.0 * 1e12**-0.37, rel=1e-4)
    assert len(analysis.predict(laws, at={"N": [1e9, 3e10], "D": [1e12, 1e12]})) == 2
    with pytest.raises(InputError, match="at: D missing"):
        analysis.predict(laws, at={"N": 3e10})
    axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    assert answer.plot(axes).get_xlabel() == "loss by the law in N, D"


def test_the_law_of_points_is_fitted_as_before():
    fitted = analysis.fit(columns={"C": BUDGETS}, y=[0.04 + 0.3 * (c / 1e17) ** -0.3 for c in BUDGETS])
    assert fitted.theta["E"] == pytest.approx(0.04, rel=1e-6)
    assert analysis.fit("power", {"C": BUDGETS}, [c**-0.1 for c in BUDGETS]).theta["b"] == pytest.approx(0.1)
    with pytest.raises(TypeError, match="for points alone"):
        analysis.fit(ROWS, clusters=[0])


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ({"flops": [1e18, 1e19], "cer": [0.1]}, {}, "unequal lengths: flops 2, cer 1"),
        (7, {}, "int; expected a path, a data frame"),
        ({"flops": [1e18, 1e19], "cer": [0.1, "low"]}, {}, "columns:2: cer is 'low', expected a number"),
        (ROWS, {"where": "compute > 1e30"}, "no row of rows is left"),
        (ROWS, {"columns": {"y": "eval/wer"}}, "no column 'eval/wer'"),
        ([], {}, "no rows"),
    ],
)
def test_what_cannot_be_read_is_named(source, options, message):
    with pytest.raises(InputError, match=message):
        analysis.fit(source, **options)


def test_numbers_that_are_no_budgets_are_refused(laws):
    with pytest.raises(InputError, match="flops: -1"):
        analysis.predict(laws, -1.0)
    with pytest.raises(InputError, match="give flops or at"):
        analysis.predict(laws)
    with pytest.raises(InputError, match="strategy: no run has 'dep'; did you mean 'deep'"):
        analysis.predict(laws, 1e20, strategy="dep")


def test_what_is_missing_in_a_data_frame_is_left_out():
    pandas = pytest.importorskip("pandas")
    extra = pandas.DataFrame([{"recipe": "deep", "compute": 1e21, "eval/cer": None}])
    every = pandas.concat([frame(), extra.astype({"eval/cer": float})], ignore_index=True)
    laws = analysis.fit(every)
    assert any("no_error_rate" in line and "data frame:9" in line for line in laws.warnings)


def test_text_is_short_and_html_is_safe(laws):
    runs = analysis.read(ROWS)
    assert repr(runs) == "<8 runs of rows: <b>wide</b>, deep>"
    assert repr(laws) == "<laws of <b>wide</b>: ok, deep: ok>"
    answer, pair = analysis.predict(laws, 1e21), analysis.compare(laws, "deep")
    assert len(repr(answer)) < 400
    assert "!" not in repr(answer)
    for shown in (runs, laws, answer, pair, analysis.predict(laws, [1e21, 1e22]), analysis.recommend(laws, flops=1e21)):
        html = shown._repr_html_()
        assert html.startswith("<table>")
        assert "<b>" not in html
    assert "&lt;b&gt;wide&lt;/b&gt;" in laws._repr_html_()
    assert "<li>" in answer._repr_html_()


def test_pictures_are_drawn_on_the_axes_given(laws):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    left, right = figure.subplots(1, 2)
    assert laws.plot(left) is left
    drawn = {(float(x), round(float(y), 9)) for line in left.lines for x, y in zip(*line.get_data(), strict=True)}
    assert {(row["compute"], round(row["eval/cer"], 9)) for row in ROWS} <= drawn
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["<b>wide</b>", "deep"]
    answer = analysis.predict(laws, 1e22)
    answer.plot(right)
    marks = [line for line in right.lines if line.get_marker() == "D" and len(line.get_xdata()) == 1]
    assert (1e22, answer.cer) in [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks]
    assert right.get_xlim()[1] > 1e22


def test_what_is_no_axes_is_refused_with_the_way_to_save_a_picture(csv):
    laws = analysis.fit(csv)
    for plot in (laws.plot, analysis.predict(laws, 1e20).plot):
        with pytest.raises(InputError, match=r"'law.png', expected matplotlib axes; .*savefig\('law.png'\)"):
            plot("law.png")


def test_without_axes_a_new_figure_is_made(laws):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = analysis.plot(laws, strategy="deep")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["deep"]
    pyplot.close("all")
