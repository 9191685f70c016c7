"""The figure of the study: the main axis with what was forecast for it, and what `efin` saves at every place."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from reference_study.comparisons import CER_SAVED, DEAF
from reference_study.formats import Answers, flops
from reference_study.page_answers import of_joint
from reference_study.tables import MAIN, RETUNED, Study, read_studies

from analysis.registering.record import FORECASTS_FILE
from analysis.report.figures.axes import error_axis, mark_flops
from analysis.report.figures.canvas import save, style
from analysis.report.palette import INK, CurveStyle, curve_style
from analysis.tables.table import Row
from scaling.ledger.records import is_usable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "reference"
INCHES = (10.5, 4.2)
APART = 1.06
"""Forecasts of different strategies at one budget are drawn this factor of FLOPs apart."""
LOWER = 0.25
"""How far below the line of a place its smaller budgets are drawn, in lines."""


def draw(folder: Path, found: Answers) -> Sequence[Path]:
    """Write the figure to `folder`/figures in every format; its paths, none where the main axis has no runs."""
    studies = read_studies(folder / "parts")
    rows, retuned = (_usable(studies[name]) for name in (MAIN, RETUNED))
    if not rows:
        return ()
    styles = {name: curve_style(place) for place, name in enumerate(sorted(studies[MAIN].strategies))}
    (folder / "figures").mkdir(exist_ok=True)
    with style():
        figure = Figure(figsize=INCHES, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
        said = list(_forecasts(folder / FORECASTS_FILE))
        _main_axis(left, rows, said, styles)
        _other_rates(left, retuned, styles)
        error_axis(
            left, [row["cer"] for row in rows + retuned] + [end for one in said for end in one["interval"]], "CER"
        )
        _savings(right, of_joint(found))
        return save(NAME, figure, folder / "figures")


def _usable(study: Study) -> list[Row]:
    return [] if study.table is None else [row for row in study.table.rows if is_usable(row)]


def _forecasts(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        yield from map(json.loads, file.read_text("utf-8").splitlines())


def _main_axis(axes: "Axes", rows: Sequence[Row], said: Sequence[dict], styles: dict[str, CurveStyle]) -> None:
    for place, (name, look) in enumerate(styles.items()):
        own = [row for row in rows if row["strategy"] == name]
        shift = APART ** (place - (len(styles) - 1) / 2)
        at = [row["budget_flops"] * shift for row in own]
        axes.plot(at, [row["cer"] for row in own], look.mark, color=look.light, markersize=3.5, alpha=0.8)
        axes.plot(*_means(own), color=look.light, linewidth=0.8)
        for one in said:
            if one["strategy"] == name:
                x = one["flops"] * shift
                axes.plot([x, x], one["interval"], color=look.light, linewidth=4.0, alpha=0.3, solid_capstyle="butt")
                axes.plot([x], [one["cer"]], "_", color=look.light, markersize=8)
    mark_flops(axes)
    axes.set_xlabel("charged FLOPs")
    axes.set_title("Main axis: runs, and forecasts registered before them", loc="left")
    marks = [Line2D([], [], color=look.light, marker=look.mark, linestyle="", label=name)
             for name, look in styles.items()]  # fmt: skip
    bar = Line2D([], [], color=INK, linewidth=4.0, alpha=0.3, label="90 % interval, registered")
    higher = Line2D([], [], color=INK, linestyle="--", linewidth=0.9, label="rates searched at 2.5e11, 1e12")
    axes.legend(handles=[*marks, bar, higher], loc="lower left")


def _other_rates(axes: "Axes", rows: Sequence[Row], styles: dict[str, CurveStyle]) -> None:
    """The means of the main axis with rates that were searched at larger budgets, as broken lines with open marks."""
    for name, look in styles.items():
        if own := [row for row in rows if row["strategy"] == name]:
            axes.plot(*_means(own), look.mark, color=look.light, linestyle="--", linewidth=0.9, markersize=5,
                      markerfacecolor="white")  # fmt: skip


def _means(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Budgets, and the geometric mean of the error of the seeds at each."""
    budgets = sorted({row["budget_flops"] for row in rows})
    return budgets, [geometric_mean([row["cer"] for row in rows if row["budget_flops"] == one]) for one in budgets]


def _savings(axes: "Axes", places: Sequence[Answers]) -> None:
    names = [f"{one['place']}, at {flops(one['top_budget_flops'])}" for one in places]
    for height, one in enumerate(places):
        top = one["at_top"]
        if top["verdict"] != DEAF and top["cer_saved_interval"] is not None:
            low, high = (100.0 * end for end in top["cer_saved_interval"])
            axes.plot([low, high], [height, height], color=INK, linewidth=1.5)
            axes.plot([100.0 * top["cer_saved"]], [height], "o", color=INK, markersize=5)
            below = [100.0 * each["cer_saved"] for each in _below(one)]
            axes.plot(below, [height + LOWER] * len(below), "o", color=INK, markersize=3.0, markerfacecolor="white")
    axes.axvline(0.0, color=INK, linewidth=0.7)
    axes.axvline(100.0 * CER_SAVED, color=INK, linewidth=0.9, linestyle=":")
    axes.annotate("Mu et al. (2025) ", (100.0 * CER_SAVED, -0.7), ha="right", va="center", fontsize=8)
    axes.set_ylim(len(names) - 0.5, -1.0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("CER saved by efin against joint at equal FLOPs, %")
    axes.set_title("Largest budget of each place (open: smaller)", loc="left")


def _below(place: Answers) -> list[Answers]:
    """The smaller budgets of a place at which both sides hear."""
    return [
        each
        for each in place["budgets"]
        if each["flops"] < place["top_budget_flops"] and each["verdict"] != DEAF and not each["below_the_fits"]
    ]
