"""`asr-scaling score`: the error rates of transcripts."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import AsJson
from scaling.system.console import emit
from scaling.system.progress_line import announce_if_slow


def score(
    hypotheses: Annotated[Path, typer.Argument(metavar="HYP", help="JSON lines, or lines of an id and a text.")],
    references: Annotated[
        Path | None, typer.Argument(metavar="REF", help="As HYP; without it, HYP holds `ref` and `hyp`.")
    ] = None,
    scoring: Annotated[str, typer.Option(help="plain, whisper-english, whisper-basic, mandarin or wenet.")] = "plain",
    as_json: AsJson = False,
) -> None:
    """Score transcripts as runs are scored: CER and WER of each test set and together, with intervals over speakers."""
    from analysis.tables.scores import score_files, scores_text

    with announce_if_slow(f"scoring {hypotheses}"):
        scores = score_files(hypotheses, references, scoring)
    emit(scores.as_dict() if as_json else scores_text(scores))
