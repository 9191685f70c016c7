"""The verbs that say what results mean, a file each, in the order in which help lists them. A verb reads its source,
computes one answer and prints it; what it needs is imported inside it, so that the command starts quickly.
"""

import typer

from analysis.cli.compare import compare
from analysis.cli.coverage import coverage
from analysis.cli.design import design
from analysis.cli.explain import explain
from analysis.cli.fit import fit
from analysis.cli.forecast import forecast
from analysis.cli.frontier import frontier
from analysis.cli.laws import laws
from analysis.cli.predict import predict
from analysis.cli.recommend import recommend
from analysis.cli.report import report
from analysis.cli.score import score

app = typer.Typer()
for verb in (
    fit, predict, laws, compare, recommend, forecast, report, frontier, coverage, design, score, explain,
):  # fmt: skip
    app.command()(verb)
