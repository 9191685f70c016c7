"""`asr-scaling status`: how far a study is."""

from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import FolderArgument, JsonOption


def status(
    folder: FolderArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until no work is left.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is done, running, waiting, blocked and failed in DIR."""
    from scaling.ledger.plan_file import read_plan_file
    from sweeps.progress.status import survey_study
    from sweeps.progress.status_text import status_text, study_status
    from sweeps.progress.status_text import watch as watch_study

    if watch:
        watch_study(folder, as_json=as_json)
        return
    plan_file = read_plan_file(folder)
    status = study_status(plan_file, survey_study(plan_file))
    emit(status.as_document() if as_json else status_text(status))
