"""The score of transcripts, of each test set and of all together, by the code that scores runs."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from analysis.tables.transcripts import Transcript, read_transcripts
from scaling.errors import InputError, nearest
from scaling.scoring.interval import LEVEL, RateInterval, rate_interval
from scaling.scoring.score import VERSIONS, Score, score, total
from scaling.spec import Scoring
from scaling.system.console import JOIN
from scaling.system.text_table import text_table

TOGETHER = "together"
"""The name of all utterances beside those of the test sets."""

Scored = tuple[Transcript, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetScore:
    """The score of a test set; an interval is None where there is one utterance, or no reference in its unit."""

    score: Score
    utterances: int
    speakers: int
    cer_interval: RateInterval | None
    wer_interval: RateInterval | None

    def as_dict(self) -> dict[str, object]:
        """One of the `sets` of `score --json`."""
        return {
            **self.score.summary(),
            "n_utterances": self.utterances,
            "n_speakers": self.speakers,
            "cer_interval": None if self.cer_interval is None else asdict(self.cer_interval),
            "wer_interval": None if self.wer_interval is None else asdict(self.wer_interval),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FileScores:
    """Transcripts with their scores under one scoring, and the scores of their test sets."""

    scoring: Scoring
    utterances: tuple[Scored, ...]
    sets: dict[str, SetScore]

    @property
    def fields(self) -> dict[str, list[str]]:
        """The fields of the lines that the recognised texts and the references were read from."""
        transcripts = [transcript for transcript, _ in self.utterances]
        return {
            "hyp": sorted({transcript.hyp_field for transcript in transcripts}),
            "ref": sorted({transcript.ref_field for transcript in transcripts}),
        }

    def as_dict(self) -> dict[str, object]:
        """What `score --json` prints."""
        return {
            "schema": "asr-scaling/scores-1",
            "scoring": self.scoring.value,
            "scoring_version": VERSIONS[self.scoring],
            "fields": self.fields,
            "interval_level": LEVEL,
            "sets": {name: part.as_dict() for name, part in self.sets.items()},
            "utterances": [{**transcript.as_dict(), **edits.counts()} for transcript, edits in self.utterances],
        }


def score_files(hypotheses: Path, references: Path | None, scoring: str) -> FileScores:
    """Score `hypotheses` against `references`, or against the references they hold.

    Raises InputError on an unknown scoring, on files that do not fit, and where no reference holds a character.
    """
    if scoring not in list(Scoring):
        raise InputError(f"--scoring {scoring!r}{nearest(scoring, Scoring)}")
    transcripts = read_transcripts(hypotheses, references)
    scored = [(transcript, score(transcript.ref, transcript.hyp, Scoring(scoring))) for transcript in transcripts]
    by_set: dict[str, list[Scored]] = defaultdict(list)
    for transcript, edits in scored:
        by_set[transcript.test].append((transcript, edits))
    by_set = {**(by_set if len(by_set) > 1 else {}), TOGETHER: scored}
    for name, part in by_set.items():
        if not sum(edits.chars.length for _, edits in part):
            raise InputError(f"{references or hypotheses}: {name}: no reference holds a character after normalisation")
    sets = {name: _score_set(part) for name, part in by_set.items()}
    return FileScores(scoring=Scoring(scoring), utterances=tuple(scored), sets=sets)


def scores_text(scores: FileScores) -> str:
    """Two rows for each set, of characters and of words."""
    header = ("test set", "utterances", "rate", "90% interval", "sub", "del", "ins", "of")
    rows = [row for name, part in scores.sets.items() for row in _rows(name, part)]
    drawn = scores.sets[TOGETHER].cer_interval
    basis = f"; intervals over {drawn.units} {drawn.resampled}" if drawn else "; one utterance has no interval"
    hyp, ref = (" or ".join(names) for names in scores.fields.values())
    return text_table(header, rows) + f"\nscoring: {scores.scoring.value}{basis}; {hyp} against {ref}"


def _score_set(part: Sequence[Scored]) -> SetScore:
    speakers = [transcript.speaker for transcript, _ in part]
    chars, words = ([getattr(edits, unit) for _, edits in part] for unit in ("chars", "words"))
    cer_interval, wer_interval = (
        rate_interval([count.errors for count in counts], [count.length for count in counts], speakers)
        for counts in (chars, words)
    )
    return SetScore(
        score=total(edits for _, edits in part),
        utterances=len(part),
        speakers=len({speaker for speaker in speakers if speaker}),
        cer_interval=cer_interval,
        wer_interval=wer_interval,
    )


def _rows(name: str, part: SetScore) -> Iterator[tuple[str, ...]]:
    counted = (
        ("CER", "characters", part.score.chars, part.cer_interval),
        ("WER", "words", part.score.words, part.wer_interval),
    )
    for rate, unit, edits, interval in counted:
        counts = map(str, (edits.substitutions, edits.deletions, edits.insertions))
        ends = "-" if interval is None else f"[{interval.low:.4f},{JOIN}{interval.high:.4f}]"
        yield name, str(part.utterances), f"{rate} {edits.rate:.4f}", ends, *counts, f"{edits.length} {unit}"
