"""`asr-scaling gc`: disk that no run needs any more."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import JsonOption


def gc(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study, or the root of a ledger.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be freed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete checkpoints that no run needs any more, and files of interrupted attempts; results stay."""
    from scaling.ledger.ledger import Ledger
    from scaling.ledger.plan_file import PLAN_FILE, read_plan_file
    from sweeps.progress.retention import collect_garbage

    ledger = read_plan_file(folder).ledger if (folder / PLAN_FILE).exists() else Ledger(folder)
    freed = collect_garbage(ledger, dry_run=dry_run, patient=True)
    emit(freed.as_document(dry_run=dry_run) if as_json else freed.text(dry_run=dry_run))
