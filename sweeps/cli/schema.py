"""`asr-scaling schema`: the fields of a study file."""

from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import JsonOption


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as the page docs/study-fields.md.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the JSON schema of a study file, for editors: every field with its meaning, bounds and default."""
    from sweeps.study.field_reference import json_schema, reference_page

    emit(reference_page().rstrip("\n") if markdown and not as_json else json_schema(), as_is=True)
