"""Recordings that a user names: files, folders and corpora, checked before any model is loaded."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import Clip, check_samples, clip_samples, read_header
from scaling.speech.corpus_index import MIN_SAMPLES
from scaling.speech.long_audio import split_long_audio
from scaling.speech.readers.formats import find_corpus_paths, format_of
from scaling.speech.readers.row import BadRow, Row
from scaling.speech.utterance_names import distinct_names

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".au", ".w64", ".caf")
"""Endings of files that are looked for in a folder. A file that is named itself may have any ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording. `samples` are real samples at 16 kHz; `text` is the reference, where a corpus gives one.

    `segments` are the stretches that are transcribed one by one (see `scaling.speech.long_audio`), mostly the `clip`.
    """

    id: str
    clip: Clip
    text: str | None
    samples: int
    segments: tuple[Clip, ...]


def find_recordings(arguments: Sequence[Path], max_seconds: float, *, mix_channels: bool = False) -> list[Recording]:
    """Every recording that `arguments` name, in their order; the files of a folder, at any depth, by name.

    Recordings of more than `max_seconds` are divided into segments; all are read to their end. Raises InputError where
    an argument is missing or holds no recording, where a recording is no audio, damaged or shorter than one analysis
    window, and, unless `mix_channels`, where it has several channels and none is named: none is left out.
    """
    rows = [row for argument in arguments for row in _rows(argument)]
    rows = [row.mixed for row in rows] if mix_channels else rows
    names = [row.name for row in rows]
    renamed = distinct_names(names, [bool(row.id) for row in rows], lambda place: rows[place].clip)
    return [_checked(row, renamed.get(place, names[place]), max_seconds) for place, row in enumerate(rows)]


def _rows(argument: Path) -> list[Row]:
    path = Path(os.path.abspath(argument))  # noqa: PTH100
    if not path.exists() or format_of(path) is not None:
        rows, expected = list(_corpus(argument)), "a corpus with rows"
    elif path.is_dir():
        audio = sorted(path for path in argument.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        rows, expected = [Row(str(path), None) for path in audio], f"audio files ({', '.join(AUDIO_SUFFIXES)})"
    else:
        return [Row(str(argument), None)]
    if not rows:
        raise InputError(f"{argument}: holds no recording; expected {expected}")
    return rows


def _corpus(path: Path) -> Iterator[Row]:
    for corpus_path in find_corpus_paths(path):
        for row in corpus_path.rows():
            if isinstance(row, BadRow):
                raise InputError(f"{row.detail} ({row.kind})")
            yield row


def _checked(row: Row, name: str, max_seconds: float) -> Recording:
    clip = row.clip
    samples = clip_samples(clip, read_header(clip))
    if samples < MIN_SAMPLES:
        seconds, least = samples / SAMPLE_RATE, MIN_SAMPLES / SAMPLE_RATE
        raise InputError(f"{clip}: {seconds:.4g} s; expected at least {least:g} s, one window of analysis")
    segments = tuple(split_long_audio(clip, samples, max_seconds * SAMPLE_RATE))
    for segment in segments:
        check_samples(segment)
    return Recording(id=name, clip=clip, text=row.text, samples=samples, segments=segments)
