"""Transcripts and references in files: what other programs and our own runs write, brought together by utterance.

*.jsonl     an object a line: NeMo and WeNet manifests, and a run's `utterances/KEY.jsonl`, which holds both sides
any other   Kaldi's `text`: an id, white space, the text
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.system.json_files import read_json_lines

HYPOTHESIS = ("hyp", "pred_text", "text", "txt")
REFERENCE = ("ref", "text", "txt")
"""Where the text stands in a line of JSON, the first that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One utterance: what was said and what was written. `speaker` and `test` are empty where no file names them."""

    id: str
    speaker: str
    test: str
    ref: str
    hyp: str


def read_pairs(hypotheses: Path, references: Path | None) -> list[Pair]:
    """Every utterance in the order of the references; without `references` the hypotheses' file holds both.

    Raises InputError on a file that cannot be read, an id given twice, and utterances that only one side has: what is
    left out of a score must be left out by hand.
    """
    hyp = _by_id(hypotheses)
    ref = hyp if references is None else _by_id(references)
    for missing, where in ((ref.keys() - hyp.keys(), hypotheses), (hyp.keys() - ref.keys(), references)):
        if missing:
            raise InputError(
                f"{where}: lacks {len(missing)} utterances that the other side has, such as {min(missing)}"
            )
    return [_pair(ref[key], hyp[key], references is not None) for key in ref]


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a file, at `place` for messages."""

    place: str
    values: Mapping[str, Any]

    def text(self, names: tuple[str, ...]) -> str:
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

    @property
    def key(self) -> tuple[str, str]:
        """What names an utterance: one recording may be in several test sets."""
        return self.label("test"), self.id


def _by_id(file: Path) -> dict[str, _Line]:
    found: dict[str, _Line] = {}
    as_json = file.suffix.lower() in (".jsonl", ".json")
    for number, values in read_json_lines(file) if as_json else _kaldi(file):
        line = _Line(f"{file}:{number}", values)
        if not line.id:
            raise InputError(f"{line.place}: no id, key or audio_filepath that names the utterance")
        key = "/".join(filter(None, line.key))
        if key in found:
            raise InputError(f"{line.place}: utterance {key} again; it is in {found[key].place}")
        found[key] = line
    if not found:
        raise InputError(f"{file}: holds no utterance; expected JSON lines, or lines of an id and a text")
    return found


def _kaldi(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: no readable text ({error})") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            identity, *rest = line.split(maxsplit=1)
            yield number, {"id": identity, "text": rest[0].strip() if rest else ""}


def _pair(ref: _Line, hyp: _Line, apart: bool) -> Pair:
    return Pair(
        id=ref.id,
        speaker=ref.label("speaker") or hyp.label("speaker"),
        test=ref.label("test"),
        ref=ref.text(REFERENCE if apart else REFERENCE[:1]),
        hyp=hyp.text(HYPOTHESIS if apart else HYPOTHESIS[:2]),
    )
