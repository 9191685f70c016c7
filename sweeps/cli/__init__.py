"""The verbs that plan, start, watch and use runs, in the order in which help lists them: one function each, by subject.
What a verb needs is imported inside it, so that the command starts quickly.
"""

from collections.abc import Callable

import typer

from sweeps.cli.folders import collect_garbage, export, merge, status, track, transcribe
from sweeps.cli.machines import doctor, flops
from sweeps.cli.studies import init, plan, run, schema, tune

VERBS: dict[str, Callable[..., None]] = {
    "init": init,
    "schema": schema,
    "plan": plan,
    "run": run,
    "tune": tune,
    "track": track,
    "status": status,
    "gc": collect_garbage,
    "flops": flops,
    "transcribe": transcribe,
    "export": export,
    "merge": merge,
    "doctor": doctor,
}

app = typer.Typer()
for name, verb in VERBS.items():
    app.command(name)(verb)
