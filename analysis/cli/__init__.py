"""The verbs that say what results mean, in the order in which help lists them: one function each, by subject. A verb
reads its source, computes one answer and prints it; what it needs is imported inside it, so that the command starts
quickly.
"""

import typer

from analysis.cli.advice import compare, coverage, design, recommend, report
from analysis.cli.fitting import fit, frontier, laws, predict
from analysis.cli.forecasts import forecast
from analysis.cli.terms import explain
from analysis.cli.transcripts import score

app = typer.Typer()
for verb in (
    fit, predict, laws, compare, recommend, forecast, report, frontier, coverage, design, score, explain,
):  # fmt: skip
    app.command()(verb)
