"""Transcripts and references from files of other programs and of our own runs, brought together by utterance.

*.jsonl, .json, .ndjson, .list, .manifest, and files that begin with {    an object a line: NeMo and WeNet manifests,
            and a run's `utterances/KEY.jsonl`, which holds both sides; a field that is null is absent
*.trn       sclite's lines: the text, then the id in round brackets
any other   Kaldi's `text`: an id, white space, the text; .csv, .stm, .ctm and subtitles are refused

All may be compressed (.gz). Lines without an id are named after their recording, as the utterances of a corpus are.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.speech.audio import Clip
from scaling.speech.readers.json_lines import is_json_lines
from scaling.speech.readers.row import BadRow, channel_number, file_stem, given, label, lines, raw_lines, seconds
from scaling.speech.utterance_names import distinct_names
from scaling.system.json_files import read_json_lines

HYPOTHESIS = ("hyp", "pred_text", "text", "txt")
"""The fields of a JSON line that may hold the recognised text; the first that is there counts."""

REFERENCE = ("ref", "text", "txt")
"""The fields of a JSON line that may hold the reference; the first that is there counts."""

STRETCH = ("offset", "duration")
"""The fields of a JSON line that say which stretch of its recording the utterance is, in seconds."""

OTHER_FORMATS = (".csv", ".stm", ".ctm", ".srt", ".vtt")
"""Endings of files whose first word is no id: read as Kaldi's, they would be scored with their times."""

_TRN = re.compile(r"(?P<text>.*)\(\s*(?P<id>[^()\s]+)\s*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One utterance, and the fields of its two texts; `speaker` and `test` are empty where no file has them."""

    id: str
    speaker: str
    test: str
    ref: str
    hyp: str
    ref_field: str
    hyp_field: str

    def as_dict(self) -> dict[str, str]:
        """The utterance without the names of fields."""
        return {name: value for name, value in asdict(self).items() if not name.endswith("_field")}


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
    return [_transcript(key, ref[key], hyp[key], references is not None) for key in ref]


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a file, at `place` for messages."""

    place: str
    values: Mapping[str, Any]

    def text(self, names: tuple[str, ...]) -> tuple[str, str]:
        """The first of these fields that is there, and its name. Raises InputError for none, or what is not text."""
        value = given(self.values, *names)
        if not isinstance(value, str):
            raise InputError(f"{self.place}: expected text in {' or '.join(names)}, found {value!r:.80}")
        return value, next(name for name in names if self.values.get(name) is value)

    @property
    def id(self) -> str:
        """The id that the file gives; empty where it gives none."""
        return self.label("id", "key")

    @property
    def test(self) -> str:
        """The test set; empty where the file names none."""
        return self.label("test")

    def label(self, *names: str) -> str:
        """The first of these fields, as text, or empty. Raises InputError with the line for anything else."""
        try:
            return label(self.values, *names)
        except ValueError as error:
            raise InputError(f"{self.place}: {error}") from None

    @property
    def clip(self) -> Clip:
        """The recording, and perhaps a stretch and channel of it. Raises InputError where the line names none."""
        audio = self.label("audio_filepath", "wav")
        if not audio:
            raise InputError(f"{self.place}: no id, key or audio_filepath that names the utterance")
        try:
            start, length = (
                None if self.values.get(name) is None else seconds(self.values[name], name) for name in STRETCH
            )
            return Clip(
                path=Path(audio), start=start, seconds=length, channel=channel_number(self.values.get("channel"))
            )
        except ValueError as error:
            raise InputError(f"{self.place}: {error}") from None


def _lines_by_id(file: Path) -> dict[str, _Line]:
    """The lines of a file by test set and id: one recording may be in several test sets."""
    in_file = [_Line(f"{file}:{number}", values) for number, values in _reader(file)(file)]
    if not in_file:
        raise InputError(f"{file}: holds no utterance; expected JSON lines, or lines of an id and a text")
    places = defaultdict[str, list[int]](list)
    for place, line in enumerate(in_file):
        places[line.test].append(place)
    keys = dict[int, str]()
    for test, of_test in places.items():
        names = _names([in_file[place] for place in of_test])
        keys |= {place: f"{test}/{name}" if test else name for place, name in zip(of_test, names, strict=True)}
    by_key: dict[str, _Line] = {}
    for place, line in enumerate(in_file):
        if (key := keys[place]) in by_key:
            raise InputError(f"{line.place}: utterance {key} again; it is in {by_key[key].place}")
        by_key[key] = line
    return by_key


def _reader(file: Path) -> Callable[[Path], Iterator[tuple[int, dict[str, Any]]]]:
    """What reads the file, by the end of its name or its first letter. Raises InputError for other formats."""
    ending = Path(file.name.lower().removesuffix(".gz")).suffix
    if ending in OTHER_FORMATS:
        raise InputError(f"{file}: expected JSON lines, sclite's .trn, or lines of an id and a text, not {ending}")
    if ending == ".trn":
        return _read_trn
    return read_json_lines if is_json_lines(file) or _begins_as_json(file) else _read_kaldi


def _begins_as_json(file: Path) -> bool:
    return next((line.startswith(b"{") for _, line in raw_lines(file)), False)


def _names(of_test: Sequence[_Line]) -> list[str]:
    """The id of each line of one test set or, where it has none, the name of its recording."""
    names = [line.id or file_stem(str(line.clip.path)) for line in of_test]
    longer = distinct_names(names, [bool(line.id) for line in of_test], lambda row: of_test[row].clip)
    return [longer.get(row, name) for row, name in enumerate(names)]


def _read_kaldi(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _numbered(file):
        identity, *rest = line.split(maxsplit=1)
        yield number, {"id": identity, "text": rest[0].strip() if rest else ""}


def _read_trn(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines of sclite's trn, without remarks (;;). Raises InputError for a line without id, and for alternatives."""
    for number, line in _numbered(file):
        if line.startswith(";;"):
            continue
        parsed = _TRN.fullmatch(line)
        if parsed is None:
            raise InputError(
                f"{file}:{number}: {line!r:.80} has no id; expected the text, then the id in round brackets, one word"
            )
        if "{" in parsed["text"]:
            raise InputError(f"{file}:{number}: {parsed['text']!r:.80} has alternatives; expected one text")
        yield number, {"id": parsed["id"], "text": parsed["text"].strip()}


def _numbered(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    for number, line in lines(file):
        if isinstance(line, BadRow):
            raise InputError(f"{line.detail}; expected UTF-8 text")
        yield number, line.strip()


def _transcript(key: str, ref: _Line, hyp: _Line, two_files: bool) -> Transcript:
    """A field such as `text` names either side; of one file it is the reference, the other has its own field."""
    ref_text, ref_field = ref.text(REFERENCE)
    hyp_text, hyp_field = hyp.text(HYPOTHESIS if two_files else HYPOTHESIS[:2])
    return Transcript(
        id=key.removeprefix(f"{ref.test}/") if ref.test else key,
        speaker=ref.label("speaker") or hyp.label("speaker"),
        test=ref.test,
        ref=ref_text,
        hyp=hyp_text,
        ref_field=ref_field,
        hyp_field=hyp_field,
    )
