"""`asr-scaling merge`: one table of several."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import JsonOption


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders with a table of runs, or tables.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the one table, DIR/runs.jsonl.")],
    differ: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that tells parts apart which differ on purpose; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make one table of several, of a study that was trained in parts; runs that do not belong together are refused."""
    from scaling.ledger.records import RUNS_FILE
    from sweeps.finished.merge_tables import merge_tables

    rows, table = merge_tables(parts, out, differ or ()), out / RUNS_FILE
    emit({"table": str(table), "runs": len(rows)} if as_json else f"{len(rows)} runs of {len(parts)} parts: {table}")
