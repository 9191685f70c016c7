"""Which reader reads what: a corpus is recognised by its layout, never by a setting.

A path may be a pattern (`shards/train-*.tar`): what it matches is read in the order of the names. A `#PART` at its end
chooses a part of a corpus that says so itself (`WenetSpeech.json#S`).
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
"""The first that recognises a path reads it, so those that look at the content come before those that do not."""


@dataclass(frozen=True, slots=True)
class CorpusPath:
    """One file or folder, and how it is read."""

    path: Path
    part: str
    format: Format

    def files(self) -> Iterable[Path]:
        """Files that a change of the corpus would change, but for its audio."""
        return self.format.files(self.path)

    def rows(self) -> Rows:
        """Its rows and faults."""
        return self.format.rows(self.path, self.part)


def format_of(path: Path) -> Format | None:
    """How the file or folder is read, if it is a corpus. The path must be absolute."""
    return next((form for form in FORMATS if form.recognises(path)), None)


def find_corpus_paths(path: Path) -> list[CorpusPath]:
    """What lies at `path`, or matches it. Raises InputError where nothing does, or where it is no corpus."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100
    if whole.exists():
        return [_source(whole, "")]
    name, _, part = str(whole).rpartition("#")
    pattern = name if part and name else str(whole)
    matched = [Path(found) for found in sorted(glob.glob(pattern))]  # noqa: PTH207
    if not matched:
        raise InputError(f"{path}: no such file or folder; expected a corpus, or a pattern that matches some")
    return [_source(found, part if name else "") for found in matched]


def _source(path: Path, part: str) -> CorpusPath:
    found = format_of(path)
    if found is None:
        readable = "; ".join(form.name for form in FORMATS)
        raise InputError(f"{path}: not a corpus in a layout that is known; expected one of: {readable}")
    if part and not found.has_parts:
        raise InputError(f"{path}#{part}: {found.name} has no parts; expected the path alone")
    return CorpusPath(path, part, found)
