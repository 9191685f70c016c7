"""The command `asr-scaling`: all subcommands of `sweeps` and `analysis`, with input errors as exit code 2."""

import atexit
import gc
import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from analysis.cli import app as analysis_app
from scaling.errors import InputError
from scaling.system.console import emit, log
from sweeps.cli import app as sweeps_app

ALLOCATIONS_BETWEEN_COLLECTIONS = 1_000_000
"""Allocations until Python looks for cycles of garbage; its default is 700. A plan of ten thousand runs makes half a
million objects and no cycle, and the default took a quarter of its time (measured)."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.registered_commands += sweeps_app.registered_commands + analysis_app.registered_commands


def _print_version(wanted: bool) -> None:
    if wanted:
        emit(f"asr-scaling {metadata.version('asr-scaling')}")
        raise typer.Exit


@app.callback()
def before_every_verb(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """How low will my error be for this many FLOPs, and how should I spend them?"""


def main() -> None:
    """Run the command line; an `InputError`, or a file that the machine refuses, is one line on stderr and exit 2."""
    collect_garbage_seldom()
    try:
        app()
    except InputError as error:
        log(f"error: {error}")
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        log(f"error: {InputError(f'{error.filename}: {error.strerror}' if error.filename else str(error))}")
        sys.exit(2)


def collect_garbage_seldom() -> None:
    """Have Python look for unreachable cycles of objects seldom, and not at all when the process ends."""
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
