"""The score of transcripts, each test set apart and all together, by the code that scores runs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.formatting import aligned
from analysis.tables.transcripts import Pair, read_pairs
from scaling.errors import InputError, nearest
from scaling.scoring.edits import EditCounts
from scaling.scoring.interval import LEVEL, RateInterval, rate_interval
from scaling.scoring.score import Score, score, total
from scaling.spec import Scoring

TOGETHER = "together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Utterances with their scores, under one scoring."""

    scoring: Scoring
    utterances: tuple[tuple[Pair, Score], ...]


def score_files(hypotheses: Path, references: Path | None, scoring: str) -> Scored:
    """Score `hypotheses` against `references`, or against the references they hold.

    Raises InputError on an unknown scoring, on files that do not fit, and where no reference holds a character.
    """
    if scoring not in list(Scoring):
        raise InputError(f"--scoring {scoring!r}{nearest(scoring, Scoring)}")
    pairs = read_pairs(hypotheses, references)
    scored = Scored(
        scoring=Scoring(scoring),
        utterances=tuple((pair, score(pair.ref, pair.hyp, Scoring(scoring))) for pair in pairs),
    )
    for name, rows in _sets(scored).items():
        if not sum(found.chars.length for _, found in rows):
            raise InputError(f"{references or hypotheses}: {name}: no reference holds a character after normalisation")
    return scored


def scores_document(scored: Scored) -> dict[str, Any]:
    """What `score --json` prints."""
    return {
        "schema": "asr-scaling/scores-1",
        "scoring": scored.scoring.value,
        "interval_level": LEVEL,
        "sets": {name: _summary(rows) for name, rows in _sets(scored).items()},
        "utterances": [{**asdict(pair), **found.counts()} for pair, found in scored.utterances],
    }


def scores_text(document: dict[str, Any]) -> str:
    """A row for each set."""
    header = ("", "utterances", "CER", "90% interval", "sub", "del", "ins", "chars", "WER", "90% interval", "words")
    rows = [(name, *_cells(found)) for name, found in document["sets"].items()]
    drawn = document["sets"][TOGETHER]["cer_interval"]
    said = f"; intervals over {drawn['units']} {drawn['resampled']}" if drawn else "; one utterance has no interval"
    return aligned(header, rows) + f"\nscoring: {document['scoring']}{said}"


def _sets(scored: Scored) -> dict[str, list[tuple[Pair, Score]]]:
    """Utterances by test set where there are several, then all together."""
    apart: dict[str, list[tuple[Pair, Score]]] = defaultdict(list)
    for pair, found in scored.utterances:
        apart[pair.test].append((pair, found))
    return {**(apart if len(apart) > 1 else {}), TOGETHER: list(scored.utterances)}


def _summary(rows: Sequence[tuple[Pair, Score]]) -> dict[str, Any]:
    chars, words = [found.chars for _, found in rows], [found.words for _, found in rows]
    return {
        **total(found for _, found in rows).summary(),
        "n_utterances": len(rows),
        "n_speakers": len({pair.speaker for pair, _ in rows if pair.speaker}),
        "cer_interval": _interval(rows, chars),
        "wer_interval": _interval(rows, words),
    }


def _interval(rows: Sequence[tuple[Pair, Score]], counts: Sequence[EditCounts]) -> dict[str, Any] | None:
    found: RateInterval | None = rate_interval(
        [count.errors for count in counts], [count.length for count in counts], [pair.speaker for pair, _ in rows]
    )
    return None if found is None else asdict(found)


def _cells(found: dict[str, Any]) -> tuple[str, ...]:
    edits = [str(found[kind]) for kind in ("substitutions", "deletions", "insertions", "ref_chars")]
    chars, words = ((f"{found[rate]:.4f}", _ends(found[f"{rate}_interval"])) for rate in ("cer", "wer"))
    return (str(found["n_utterances"]), *chars, *edits, *words, str(found["ref_words"]))


def _ends(interval: dict[str, Any] | None) -> str:
    return "-" if interval is None else f"[{interval['low']:.4f}, {interval['high']:.4f}]"
