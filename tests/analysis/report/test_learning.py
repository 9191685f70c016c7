"""Learning curves come from the events of a study's ledger, and from nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
from planted import write_planted
from tiny_world import order, write_study, write_world

from analysis.report.figures.canvas import PAGE
from analysis.report.figures.learning_curves import learning_curves
from analysis.report.findings import findings_of
from analysis.report.learning import MOST_POINTS, Learning, LearningCurve, learning_of
from analysis.report.palette import budget_styles
from scaling.ledger.records import Event


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose first nodes have been trained for 200 steps: two strategies, three budgets."""
    out = tmp_path_factory.mktemp("ordered")
    study = write_study(write_world(tmp_path_factory.mktemp("world")), budgets_flops=[1e8, 2e8, 4e8])
    plan_file = order(study, out)
    for key in sorted({run.nodes[0] for run in plan_file.runs}):
        attempt = plan_file.ledger.claim(key, session="s")
        attempt.log(Event(event="start", flops=0))
        for step in range(1, 201):
            attempt.log(Event(event="progress", flops=step * 1_000_000, loss=4.0 / step))
    return out


def test_losses_are_told_run_by_run_and_thinned(ordered: Path) -> None:
    learning = learning_of(ordered)
    assert learning.measure == "loss"
    assert {(curve.strategy, curve.budget) for curve in learning.curves} == {
        (strategy, budget) for strategy in ("efin", "joint") for budget in (1e8, 2e8, 4e8)
    }
    for curve in learning.curves:
        assert len(curve.points) == MOST_POINTS
        assert (curve.points[0], curve.points[-1]) == ((1e6, 4.0), (200e6, 0.02))


def test_the_figure_has_a_line_a_run_in_the_colour_of_its_budget(tmp_path: Path) -> None:
    findings = findings_of(write_planted(tmp_path / "s", strategies=("efin", "joint"), budgets=4))
    smallest, *_, largest = findings.budgets

    def curve(strategy: str, budget: float) -> LearningCurve:
        points = tuple((share * budget, 1.0 / share) for share in (0.1, 0.5, 1.0))
        return LearningCurve(strategy=strategy, models="mini-s + mini-m", budget=budget, seed=0, points=points)

    told = Learning(measure="loss", curves=(curve("efin", smallest), curve("efin", largest), curve("joint", largest)))
    figure = learning_curves(replace(findings, learning=told), PAGE)
    efin, joint = ([line.get_color() for line in ax.get_lines()] for ax in figure.axes)
    colours = [style.light for style in budget_styles(4)]
    assert (efin, joint) == ([colours[0], colours[-1]], [colours[-1]])
    assert figure.axes[0].get_ylabel() == "training loss"


def test_a_table_without_a_ledger_has_none_and_gets_no_figure(tmp_path: Path) -> None:
    findings = findings_of(write_planted(tmp_path / "s", strategies=("efin",)))
    assert findings.learning is None
    assert learning_curves(findings, PAGE) is None
