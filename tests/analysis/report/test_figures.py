"""Figures show the data and the laws they were drawn from."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from planted import PLANTED, SMALLEST_FLOPS, planted_cer, write_planted

from analysis.report.figures.axes import power
from analysis.report.figures.canvas import COLUMN, KINDS, PAGE, save
from analysis.report.figures.draw import draw
from analysis.report.figures.error_by_flops import error_by_flops
from analysis.report.figures.error_by_size import error_by_size, families_of
from analysis.report.figures.residuals import residuals
from analysis.report.findings import HORIZON, findings_of
from analysis.report.palette import CURVE_STYLES, PAPER, budget_styles, curve_style
from scaling.strategies.presets import PRESETS

LARGEST = SMALLEST_FLOPS * 10**2.5


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """Of a planted study without noise, for all tests that only draw it."""
    return findings_of(write_planted(tmp_path_factory.mktemp("drawn")))


def lines(axes, style):
    """(x, y) of every line of a style that is more than one point."""
    return [line.get_data() for line in axes.get_lines() if line.get_linestyle() == style and len(line.get_xdata()) > 2]


def test_points_stand_where_the_runs_scored(findings):
    (axes,) = error_by_flops(findings, PAGE).axes
    drawn = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.get_lines()}
    for strategy in PLANTED:
        for budget in np.geomspace(SMALLEST_FLOPS, LARGEST, 8):
            planted = pytest.approx(budget), pytest.approx(planted_cer(strategy, budget))
            assert any(place == planted for place in drawn)


def test_laws_are_solid_over_the_runs_and_dashed_beyond(findings):
    (axes,) = error_by_flops(findings, PAGE).axes
    for style, low, high in (("-", SMALLEST_FLOPS, LARGEST), ("--", LARGEST, HORIZON * LARGEST)):
        drawn = lines(axes, style)
        assert len(drawn) == len(PLANTED)
        for (x, y), strategy in zip(drawn, findings.strategies, strict=True):
            assert (x[0], x[-1]) == (pytest.approx(low), pytest.approx(high))
            np.testing.assert_allclose(y, [planted_cer(strategy, flops) for flops in x], rtol=3e-2)


def test_a_forecast_run_is_a_star_at_its_truth(write_study):
    folder = write_study(noise=0.02)
    (folder / "forecast").mkdir()
    run = {"strategy": "efin", "encoder": "mini-s", "llm": "mini-m", "flops": 1e14, "cer": 0.087}
    (folder / "forecast" / "runs.jsonl").write_text(json.dumps(run) + "\n")
    findings = findings_of(folder)
    (axes,) = error_by_flops(findings, PAGE).axes
    stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
    assert [tuple(map(float, star.get_xydata()[0])) for star in stars] == [(1e14, 0.087)]
    low, high = findings.forecasts[0].prediction.interval
    (whiskers,) = [bars for bars in axes.collections if isinstance(bars, LineCollection)]
    assert whiskers.get_segments()[0][:, 1] == pytest.approx([low, high])


def test_only_what_the_runs_record_is_drawn(write_study):
    few = {"budgets": 4, "strategies": ("efin",), "encoders": ("mini-s", "mini-m")}
    assert set(draw(findings_of(write_study(**few)))) == {"cer_by_flops", "residuals"}

    def sized(row):
        size = {"mini-s": 1e6, "mini-m": 4e6}[row["encoder"]]
        return {**row, "encoder_params": size, "llm_params": 2e6, "unique_audio_seconds": row["audio_seconds"]}

    every = draw(findings_of(write_study(**few, change=sized)))
    assert set(every) == {"cer_by_flops", "cer_by_model_size", "cer_by_unique_hours", "residuals"}


def test_figures_are_the_same_bytes_each_time(findings, tmp_path):
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
        for name, figure in draw(findings).items():
            save(name, figure, folder)
    assert {file.suffix for file in first.iterdir()} == {f".{kind}" for kind in KINDS}
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()


def test_names_are_text_and_never_markup_or_mathematics(write_study, tmp_path):
    names = {"efin": "<script>alert(1)</script>", "joint": "$x_1$", "frozen_encoder": "_hidden 中文"}
    findings = findings_of(write_study(change=lambda row: {**row, "strategy": names[row["strategy"]]}))
    _, svg, _ = save("figure", draw(findings)["cer_by_flops"], tmp_path)
    text = svg.read_text()
    assert "<script" not in text
    for name in ("&lt;script&gt;alert(1)&lt;/script&gt;", "$x_1$", "_hidden 中文"):
        assert f">{name}<" in text


def test_preset_strategies_all_look_different():
    assert len({curve_style(i) for i in range(len(PRESETS))}) == len(PRESETS)
    scripts = Path(__file__).parents[3] / "analysis" / "report" / "page" / "assets" / "scripts"
    script = (scripts / "nodes.js").read_text(encoding="utf-8")
    marks = script.partition("const MARKS")[2].partition("};")[0]
    for mark in {curve_style(i).mark for i in range(len(CURVE_STYLES))}:
        assert f'"{mark}": "M' in marks or f' {mark}: "M' in marks, mark


def imported(file):
    """The packages that a file imports when it runs; what is for types alone is left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    left_out = {id(inner) for node in for_types for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_matplotlib_is_imported_by_the_figures_alone():
    package = Path(__file__).parents[3] / "analysis"
    importers = {file.parent.name for file in package.rglob("*.py") if "matplotlib" in imported(file)}
    assert importers == {"figures"}
    imports = "import sys, analysis.cli, analysis.report.findings, analysis.report.report"
    loaded = f"{imports}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


def test_a_run_set_aside_is_drawn_hollow_beside_the_points(write_study):
    folder = write_study(
        noise=0.02,
        strategies=("efin",),
        change=lambda row: {**row, "cer": 1.1} if row["budget_flops"] > 1e13 and row["seed"] == 1 else row,
    )
    findings = findings_of(folder)
    (trace,) = findings.traces
    assert {point.mean.cer for point in trace.aside} == {1.1}
    assert all(point.mean.cer < 0.5 for point in trace.points)
    (axes,) = error_by_flops(findings, PAGE).axes
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == PAPER]
    assert [float(line.get_xydata()[0][1]) for line in hollow] == [1.1] * len(trace.aside)


def sized(row):
    """Two encoders and two LLMs, whose sizes the table records."""
    size = {"mini-s": 1e6, "mini-m": 4e6}[row["encoder"]]
    return {**row, "encoder_params": size, "llm_params": 2e6}


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels() if label.get_text()]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(
    ("value", "text"), [(1e11, "10¹¹"), (6.403e11, "6.4×10¹¹"), (2e-3, "2×10⁻³"), (9.999e19, "10²⁰"), (3e20, "3×10²⁰")]
)
def test_flops_are_written_as_powers_of_ten(value, text):
    assert power(value) == text


def test_flops_on_the_axis_are_powers_of_ten_with_their_digits_between(findings):
    figure = error_by_flops(findings, PAGE)
    figure.canvas.draw()
    assert {"10¹¹", "10¹²", "10¹³", "10¹⁴"} <= set(labels(figure.axes[0].xaxis))
    few = residuals(findings, PAGE)
    few.axes[0].set_xlim(2e11, 9e12)
    few.canvas.draw()
    assert {"10¹²"} <= set(labels(few.axes[0].xaxis))


def test_the_legend_says_what_bands_dashes_and_stars_are_where_they_are_drawn(write_study):
    findings = findings_of(write_study(noise=0.02))
    texts = legend_texts(error_by_flops(findings, PAGE))
    assert texts == [*findings.strategies, "90 % interval of the law", "beyond the runs"]
    (findings.table.path.parent / "forecast").mkdir()
    run = {"strategy": "efin", "encoder": "mini-s", "llm": "mini-m", "flops": 1e14, "cer": 0.087}
    (findings.table.path.parent / "forecast" / "runs.jsonl").write_text(json.dumps(run) + "\n")
    assert "forecast run" in legend_texts(error_by_flops(findings_of(findings.table.path.parent), PAGE))


def test_residuals_of_each_pair_of_models_have_a_panel(write_study):
    findings = findings_of(
        write_study(budgets=4, strategies=("efin", "joint"), encoders=("mini-s", "mini-m"), noise=0.02)
    )
    panels = residuals(findings, PAGE).axes
    assert [ax.get_title("left") for ax in panels] == list(findings.models)
    points = [sum(len(line.get_xdata()) == 1 for line in ax.get_lines()) for ax in panels]
    assert points == [8, 8]


def test_pairs_that_share_an_llm_are_joined_and_others_are_not(write_study):
    def with_llms(row):
        llm = "large" if row["budget_flops"] > 2e12 else row["llm"]
        return {**sized(row), "llm": llm, "llm_params": 9e6 if llm == "large" else 2e6}

    findings = findings_of(write_study(strategies=("efin", "joint"), encoders=("mini-s", "mini-m"), change=with_llms))
    assert [family.name for family in families_of(findings)] == ["LLM mini-m", "LLM large"]
    figure = error_by_size(findings, PAGE)
    lines = {tuple(line.get_xdata()) for ax in figure.axes for line in ax.get_lines() if len(line.get_xdata()) > 1}
    assert lines == {(3e6, 6e6), (10e6, 13e6)}
    assert legend_texts(figure)[-2:] == ["LLM mini-m", "LLM large"]


def test_on_a_phone_panels_stand_below_each_other(write_study):
    findings = findings_of(
        write_study(budgets=4, strategies=("efin", "joint"), encoders=("mini-s", "mini-m"), change=sized)
    )
    for figure in draw(findings, COLUMN).values():
        figure.canvas.draw()
        assert figure.get_figwidth() == COLUMN.width
        assert len({round(ax.get_position().x0, 6) for ax in figure.axes}) == 1


def luminance(colour):
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("budgets", range(1, 12))
def test_colours_stand_out_from_white_and_from_black(budgets):
    for style in (*CURVE_STYLES, *budget_styles(budgets)):
        assert contrast(style.light, PAPER) >= 3.0, style
        assert contrast(style.dark, "#16171a") >= 3.0, style
