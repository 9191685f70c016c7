"""Audio that a user names: files, folders and corpora, found and checked before any model is loaded."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import Clip, clip_samples, read_header
from scaling.speech.corpus_index import MIN_SAMPLES
from scaling.speech.long_audio import split_long_audio
from scaling.speech.readers.formats import find_corpus_paths, format_of
from scaling.speech.readers.row import BadRow, Row

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".au", ".w64", ".caf")
"""Names of what libsndfile reads. Only folders are searched by them: a file named alone may be called anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording. `samples` are real ones at 16 kHz; `text` is what was said, where a corpus tells.

    `segments` are what a model hears at a time (see `scaling.speech.long_audio`), mostly the `clip` alone.
    """

    id: str
    clip: Clip
    text: str | None
    samples: int
    segments: tuple[Clip, ...]


def find_recordings(arguments: Sequence[Path], max_seconds: float) -> list[Recording]:
    """Every recording that `arguments` name, in their order; a folder's files, at any depth, by name.

    Those of more than `max_seconds` are cut. Raises InputError on what is missing, holds no recording, is no audio, or
    is shorter than one analysis window; here a row that cannot be used is never left out.
    """
    return [_checked(row, max_seconds) for argument in arguments for row in _rows(argument)]


def _rows(argument: Path) -> list[Row]:
    whole = Path(os.path.abspath(argument))  # noqa: PTH100
    if not whole.exists() or format_of(whole) is not None:
        rows, wanted = list(_corpus(argument)), "a corpus with rows"
    elif whole.is_dir():
        audio = sorted(path for path in argument.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        rows, wanted = [Row(str(path), None) for path in audio], f"audio files ({', '.join(AUDIO_SUFFIXES)})"
    else:
        rows, wanted = [Row(str(argument), None)], ""
    if not rows:
        raise InputError(f"{argument}: holds no recording; expected {wanted}")
    return rows


def _corpus(path: Path) -> Iterator[Row]:
    for source in find_corpus_paths(path):
        for row in source.rows():
            if isinstance(row, BadRow):
                raise InputError(f"{row.detail} ({row.kind})")
            yield row


def _checked(row: Row, max_seconds: float) -> Recording:
    clip = row.clip
    samples = clip_samples(clip, read_header(clip))
    if samples < MIN_SAMPLES:
        found, least = samples / SAMPLE_RATE, MIN_SAMPLES / SAMPLE_RATE
        raise InputError(f"{clip}: {found:.4g} s; expected at least {least:g} s, one window of analysis")
    return Recording(
        id=row.name,
        clip=clip,
        text=row.text,
        samples=samples,
        segments=tuple(split_long_audio(clip, samples, max_seconds * SAMPLE_RATE)),
    )
