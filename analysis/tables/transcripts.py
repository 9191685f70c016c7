"""Transcripts and references from files of other programs and of our own runs, brought together by utterance.

*.jsonl     an object a line: NeMo and WeNet manifests, and a run's `utterances/KEY.jsonl`, which holds both sides
any other   Kaldi's `text`: an id, white space, the text
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.tables.table import read_text
from scaling.errors import InputError
from scaling.system.json_files import read_json_lines

HYPOTHESIS = ("hyp", "pred_text", "text", "txt")
"""The fields of a JSON line that may hold the recognised text; the first that is there counts."""

REFERENCE = ("ref", "text", "txt")
"""The fields of a JSON line that may hold the reference; the first that is there counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One utterance: its reference and what was recognised. `speaker` and `test` are empty where no file has them."""

    id: str
    speaker: str
    test: str
    ref: str
    hyp: str


def read_transcripts(hypotheses: Path, references: Path | None) -> list[Transcript]:
    """Every utterance in the order of the references; without `references` the file of hypotheses holds both sides.

    Raises InputError on a file that cannot be read, an id given twice, and utterances that only one side has: whoever
    wants to leave utterances out of a score must take them out of the files.
    """
    hyp = _lines_by_id(hypotheses)
    ref = hyp if references is None else _lines_by_id(references)
    for missing, file in ((ref.keys() - hyp.keys(), hypotheses), (hyp.keys() - ref.keys(), references)):
        if missing:
            raise InputError(f"{file}: lacks {len(missing)} utterances that the other side has, such as {min(missing)}")
    return [_transcript(ref[key], hyp[key], references is not None) for key in ref]


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a file, at `place` for messages."""

    place: str
    values: Mapping[str, Any]

    def text(self, names: tuple[str, ...]) -> str:
        """The first of these fields that is there. Raises InputError where none is, or where it is not text."""
        value = next((self.values[name] for name in names if name in self.values), None)
        if not isinstance(value, str):
            raise InputError(f"{self.place}: expected text in {' or '.join(names)}, found {value!r:.80}")
        return value

    def label(self, *names: str) -> str:
        """The first of these fields that is there, as text; empty where none is."""
        return next((str(self.values[name]) for name in names if self.values.get(name) is not None), "")

    @property
    def id(self) -> str:
        return self.label("id", "key") or Path(self.label("audio_filepath", "wav")).stem


def _lines_by_id(file: Path) -> dict[str, _Line]:
    """The lines of a file by test set and id: one recording may be in several test sets."""
    lines: dict[str, _Line] = {}
    read = read_json_lines if file.suffix.lower() in (".jsonl", ".json") else _read_kaldi
    for number, values in read(file):
        line = _Line(f"{file}:{number}", values)
        if not line.id:
            raise InputError(f"{line.place}: no id, key or audio_filepath that names the utterance")
        key = "/".join(filter(None, (line.label("test"), line.id)))
        if key in lines:
            raise InputError(f"{line.place}: utterance {key} again; it is in {lines[key].place}")
        lines[key] = line
    if not lines:
        raise InputError(f"{file}: holds no utterance; expected JSON lines, or lines of an id and a text")
    return lines


def _read_kaldi(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            identity, *rest = line.split(maxsplit=1)
            yield number, {"id": identity, "text": rest[0].strip() if rest else ""}


def _transcript(ref: _Line, hyp: _Line, two_files: bool) -> Transcript:
    """Text fields such as `text` name either side, so of one file only the names that are one side's alone count."""
    return Transcript(
        id=ref.id,
        speaker=ref.label("speaker") or hyp.label("speaker"),
        test=ref.label("test"),
        ref=ref.text(REFERENCE if two_files else REFERENCE[:1]),
        hyp=hyp.text(HYPOTHESIS if two_files else HYPOTHESIS[:2]),
    )
