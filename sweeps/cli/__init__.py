"""The verbs that plan, start, watch and use runs, a file each, in the order in which help lists them. What a verb needs
is imported inside it, so that the command starts quickly.
"""

import typer

from sweeps.cli.doctor import doctor
from sweeps.cli.export import export
from sweeps.cli.flops import flops
from sweeps.cli.gc import gc
from sweeps.cli.init import init
from sweeps.cli.merge import merge
from sweeps.cli.plan import plan
from sweeps.cli.run import run
from sweeps.cli.schema import schema
from sweeps.cli.status import status
from sweeps.cli.track import track
from sweeps.cli.transcribe import transcribe
from sweeps.cli.tune import tune

app = typer.Typer()
for verb in (
    init, schema, plan, run, tune, track, status, gc, flops, transcribe, export, merge, doctor,
):  # fmt: skip
    app.command()(verb)
