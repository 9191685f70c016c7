"""Which reader reads a corpus: the corpus is recognised by its layout, never by a setting.

A path may be a pattern (`shards/train-*.tar`): the files that it matches are read in the order of their names. `#PART`
at the end of a path chooses a part, in layouts that have parts (`WenetSpeech.json#S`).
"""

import glob
import os
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
    arrow.PARQUET,
    lhotse.CUTS,
    lhotse.SUPERVISIONS,
    json_lines.FORMAT,
)
"""The first format that recognises a path reads it: formats that look at the content come before the others."""


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
    matched = [Path(match) for match in sorted(glob.glob(pattern))]  # noqa: PTH207
    if not matched:
        raise InputError(f"{path}: no such file or folder; expected a corpus, or a pattern that matches some")
    return [_corpus_path(match, part if name else "") for match in matched]


def _corpus_path(path: Path, part: str) -> CorpusPath:
    form = format_of(path)
    if form is None:
        readable = "; ".join(known.name for known in FORMATS)
        raise InputError(f"{path}: not a corpus in a layout that is known; expected one of: {readable}")
    if part and not form.has_parts:
        raise InputError(f"{path}#{part}: {form.name} has no parts; expected the path alone")
    return CorpusPath(path, part, form)
