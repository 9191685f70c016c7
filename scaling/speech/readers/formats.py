"""Which reader reads a corpus: the corpus is recognised by its layout, never by a setting.

A path may be a pattern (`shards/train-*.tar`): the files that it matches are read in the order of their names. Braces
list names (`shards/{clean,other}-{000..127}.tar`), as WebDataset writes them, and NeMo with `_OP_` and `_CL_`: each
must match something. `#PART` at the end of a path chooses a part, in layouts that have parts (`WenetSpeech.json#S`).
"""

import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scaling.errors import InputError
from scaling.speech.readers import (
    aishell,
    arrow,
    common_voice,
    json_lines,
    kaldi,
    lhotse,
    librispeech,
    tar_shards,
    wenetspeech,
)
from scaling.speech.readers.row import Format, Rows

FORMATS: tuple[Format, ...] = (
    kaldi.FORMAT,
    aishell.FORMAT,
    librispeech.FORMAT,
    lhotse.SHAR,
    arrow.ARROW,
    common_voice.FORMAT,
    wenetspeech.FORMAT,
    tar_shards.FORMAT,
    tar_shards.FOLDER,
    arrow.PARQUET,
    lhotse.CUTS,
    lhotse.SUPERVISIONS,
    json_lines.FORMAT,
)
"""The first format that recognises a path reads it: formats that look at the content come before the others."""


BRACES = re.compile(r"\{(?:(?P<first>\d{1,9})\.\.(?P<last>\d{1,9})|[^{}]*,[^{}]*)\}")
"""A list of names, or of numbers, in a pattern."""

MOST_LISTED = 100_000
"""The most names that braces may list: ten times the shards of the largest published corpora (assumption)."""


@dataclass(frozen=True, slots=True)
class CorpusPath:
    """A file or folder of a corpus, and the format it is read in."""

    path: Path
    part: str
    format: Format

    def files(self) -> Iterable[Path]:
        """Every file, except audio, whose change changes the corpus."""
        return self.format.files(self.path)

    def rows(self) -> Rows:
        """The rows and the bad rows."""
        return self.format.rows(self.path, self.part)


def format_of(path: Path) -> Format | None:
    """The format of a file or folder, None where it is no corpus. The path must be absolute."""
    return next((form for form in FORMATS if form.recognises(path)), None)


def find_corpus_paths(path: Path) -> list[CorpusPath]:
    """The corpus at `path`, or all that match it. Raises InputError where nothing matches, or where it is no corpus."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    if absolute.exists():
        return [_corpus_path(absolute, "")]
    name, _, part = str(absolute).rpartition("#")
    pattern = name if part and name else str(absolute)
    matched = [Path(match) for listed in _listed(pattern, path) for match in _matches(listed)]
    return [_corpus_path(match, part if name else "") for match in matched]


def _matches(pattern: str) -> list[str]:
    matched = sorted(glob.glob(pattern))  # noqa: PTH207
    if not matched:
        raise InputError(f"{pattern}: no such file or folder; expected a corpus, or a pattern that matches some")
    return matched


def _listed(pattern: str, path: Path) -> list[str]:
    """The patterns that one with braces lists: `{00..12}`, with as many digits as its first number, or `{a,b}`."""
    patterns = [pattern.replace("_OP_", "{").replace("_CL_", "}")]
    while BRACES.search(patterns[0]):
        patterns = list(dict.fromkeys(longer for short in patterns for longer in _without_first_braces(short, path)))
        if len(patterns) > MOST_LISTED:
            raise InputError(f"{path}: its braces list over {MOST_LISTED} names; expected fewer")
    return patterns


def _without_first_braces(pattern: str, path: Path) -> list[str]:
    braces = BRACES.search(pattern)
    if braces is None:
        return [pattern]
    names = braces[0][1:-1].split(",")
    if braces["first"] is not None:
        first, last = int(braces["first"]), int(braces["last"])
        if not first <= last < first + MOST_LISTED:
            raise InputError(f"{path}: {braces[0]} must count up, over at most {MOST_LISTED} numbers")
        names = [f"{number:0{len(braces['first'])}d}" for number in range(first, last + 1)]
    return [pattern[: braces.start()] + name + pattern[braces.end() :] for name in names]


def _corpus_path(path: Path, part: str) -> CorpusPath:
    form = format_of(path)
    if form is None:
        readable = "; ".join(known.name for known in FORMATS)
        raise InputError(f"{path}: not a corpus in a layout that is known; expected one of: {readable}")
    if part and not form.has_parts:
        raise InputError(f"{path}#{part}: {form.name} has no parts; expected the path alone")
    return CorpusPath(path, part, form)
