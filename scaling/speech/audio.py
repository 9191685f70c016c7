"""Recorded speech: where a clip lies, how long it is, and its samples at the rate of the encoders."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.system.cache import file_digest

MAX_MEMBER_BYTES = 1 << 30
"""The largest member of a shard that is read: 9 hours of 16 kHz PCM (assumption: no recording is longer)."""

MAX_CLIP_SECONDS = 3600.0
"""The longest clip that is decoded: no encoder takes an hour at once, and a header may claim any length."""

ROUNDING_SECONDS = 0.01
"""How far a stretch may reach beyond the end of its recording, because times are written in hundredths."""


class AudioError(InputError):
    """Audio that cannot be used. `kind` names the kind of fault, without the place."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Audio of one utterance: a file, a member of a file (`size` bytes from `offset`), or a stretch of either.

    `start` is in seconds, None for the whole recording; `seconds` is the length of the stretch. The audio is played
    `speed` times as fast, which raises its pitch by the same factor.
    """

    path: Path
    offset: int = 0
    size: int | None = None
    start: float | None = None
    seconds: float | None = None
    speed: float = 1.0

    def __str__(self) -> str:
        member = "" if self.size is None else f", {self.size} bytes at {self.offset}"
        stretch = "" if self.start is None else f", {self.seconds:g} s from {self.start:g}"
        return f"{self.path}{member}{stretch}"

    def overlaps(self, other: "Clip") -> bool:
        """Whether two clips of one file have audio in common."""
        if self.offset != other.offset:
            return False
        first, second = sorted((self, other), key=lambda clip: clip.start or 0.0)
        return first.seconds is None or (second.start or 0.0) < (first.start or 0.0) + first.seconds


@dataclass(frozen=True, slots=True)
class Header:
    """The length of a recording by its header: `frames` at `rate` Hz."""

    frames: int
    rate: int


def read_header(clip: Clip) -> Header:
    """The header of the clip's recording. Raises AudioError where the recording is missing or no audio."""
    with _opened(clip) as sound:
        return Header(int(sound.frames), int(sound.samplerate))


def clip_samples(clip: Clip, header: Header) -> int:
    """Samples of the clip at 16 kHz. Raises AudioError where the recording ends before the clip does."""
    first, frames = _stretch(clip, header)
    if first + frames > header.frames + ROUNDING_SECONDS * header.rate:
        end = header.frames / header.rate
        raise AudioError("stretch beyond the recording's end", f"{clip}: the recording ends after {end:.6g} s")
    return resampled(frames, header.rate)


def read_clip(clip: Clip) -> np.ndarray:
    """The clip as float32 samples in [-1, 1], mono (channels averaged), resampled to 16 kHz.

    Every format of libsndfile is read: wav, flac, mp3, ogg, opus and others. Raises AudioError where the recording is
    missing, broken or empty.
    """
    import soundfile  # slow to import
    import soxr  # comes with the extra `train`

    with _opened(clip) as sound:
        first, frames = _stretch(clip, Header(int(sound.frames), int(sound.samplerate)))
        if frames > MAX_CLIP_SECONDS * sound.samplerate:
            seconds = frames / sound.samplerate
            raise AudioError("too long", f"{clip}: {seconds:.4g} s; expected at most {MAX_CLIP_SECONDS:g} s")
        try:
            sound.seek(min(first, sound.frames))
            samples_TC = sound.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError("unreadable audio", f"{clip}: not readable as audio ({error})") from error
        rate = round(sound.samplerate * clip.speed)
    if not len(samples_TC):
        raise AudioError("unreadable audio", f"{clip}: holds no audio samples")
    samples_T: np.ndarray = samples_TC.mean(axis=1, dtype=np.float32)
    return samples_T if rate == SAMPLE_RATE else soxr.resample(samples_T, rate, SAMPLE_RATE)


def clip_digest(clip: Clip) -> str:
    """Equal for clips with the same bytes, wherever they lie."""
    is_file = clip.size is None
    recording = file_digest(clip.path) if is_file else hashlib.sha256(_member(clip)).hexdigest()
    return f"{recording} {clip.start} {clip.seconds}"


def resampled(samples: int, rate: int) -> int:
    """Samples at 16 kHz of `samples` at `rate` Hz, rounded half up, as soxr gives.

    >>> resampled(44_100, 44_100), resampled(3, 8_000)
    (16000, 6)
    """
    return (2 * samples * SAMPLE_RATE + rate) // (2 * rate)


def _opened(clip: Clip) -> Any:
    import soundfile  # slow to import

    try:
        if not clip.path.is_file():
            raise AudioError("missing audio", f"{clip.path}: no such audio file")
        return soundfile.SoundFile(str(clip.path) if clip.size is None else io.BytesIO(_member(clip)))
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError("unreadable audio", f"{clip}: not readable as audio ({error})") from error


def _member(clip: Clip) -> bytes:
    if (size := clip.size or 0) > MAX_MEMBER_BYTES:
        raise AudioError("unreadable audio", f"{clip}: expected a recording of at most {MAX_MEMBER_BYTES} bytes")
    with clip.path.open("rb") as stream:
        stream.seek(clip.offset)
        return stream.read(size)


def _stretch(clip: Clip, header: Header) -> tuple[int, int]:
    """The first frame of the clip and its number of frames, at the rate of the recording."""
    if clip.start is None or clip.seconds is None:
        return 0, header.frames
    first = round(clip.start * header.rate)
    return first, round((clip.start + clip.seconds) * header.rate) - first
