"""`asr-scaling explain`: what a status or a warning means."""

from dataclasses import asdict
from typing import Annotated

import typer

from analysis.cli.options import AsJson
from scaling.system.console import emit


def _codes(beginning: str) -> list[str]:
    """What a shell offers for a code."""
    from analysis.glossary import TERMS

    return sorted({term.code for term in TERMS if term.code.startswith(beginning)})


def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="A status or warning; without one, their list.", autocompletion=_codes),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="What all of them mean.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="All of them as the page docs/glossary.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a status or a warning means, and what to do about it."""
    from analysis.glossary import explained, glossary_page, listed_codes

    terms = explained(code)
    if markdown:
        emit(glossary_page().rstrip("\n"), as_is=True)
        return
    if as_json:
        emit([asdict(term) for term in terms])
    else:
        emit(listed_codes() if code is None and not every else "\n".join(term.as_text() for term in terms))
