"""The verbs that plan, start, watch and use runs, in the order in which help lists them: one function each, by subject.
What a verb needs is imported inside it, so that the command starts quickly.
"""

import typer

from sweeps.cli.folders import export, gc, merge, status, track, transcribe
from sweeps.cli.machines import doctor, flops
from sweeps.cli.studies import init, plan, run, schema, tune

app = typer.Typer()
for verb in (
    init, schema, plan, run, tune, track, status, gc, flops, transcribe, export, merge, doctor,
):  # fmt: skip
    app.command()(verb)
