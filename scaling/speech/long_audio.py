"""Recordings longer than an encoder takes at once, divided into segments at their quietest places, without overlap.

The rule: a segment ends in the second half of the longest stretch that fits, where the mean power of the surrounding
160 ms is lowest. Of equally quiet places the middle of the last pause is taken. The next segment begins there, until
the rest fits. Every sample is in one segment.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from scaling.spec import SAMPLE_RATE
from scaling.speech.audio import Clip, read_clip

FRAME = 640
"""Segments end at multiples of 40 ms: a whole number of samples at every usual rate, so that segments meet exactly."""

AROUND = 4
"""Frames over which power is averaged: 160 ms are longer than the closure of a stop consonant (assumption)."""

_UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")

SILENCE = 1e-10
"""Mean powers that differ by less count as equal: 100 dB below full scale is silence."""


def split_long_audio(clip: Clip, samples: int, max_samples: float) -> list[Clip]:
    """The clip, in parts of at most `max_samples` at 16 kHz. Raises AudioError where it is unreadable or too long."""
    if samples <= max_samples:
        return [clip]
    begin = clip.start or 0.0
    places = [0, *quietest_places(read_clip(clip), int(max_samples)), samples]
    edges = [begin + place / SAMPLE_RATE for place in places]
    return [replace(clip, start=start, seconds=end - start) for start, end in pairwise(edges)]


def quietest_places(samples_T: npt.NDArray[np.float32], max_samples: int) -> list[int]:
    """Where segments end, in samples, by the rule above; `max_samples` must be two frames or more."""
    power = _mean_power(samples_T)
    max_frames, ends = max_samples // FRAME, [0]
    while len(samples_T) - ends[-1] * FRAME > max_samples:
        first, last = ends[-1] + (max_frames + 1) // 2, min(ends[-1] + max_frames, len(power) - 2)
        ends.append(first + _last_pause(power[first : last + 1]))
    return [end * FRAME for end in ends[1:]]


def join_texts(texts: Sequence[str]) -> str:
    """The transcripts of segments as one text, joined by blanks except beside Chinese or Japanese characters.

    >>> join_texts(["one two", " three"]), join_texts(["你好", "世界 hello", "", "again"])
    ('one two three', '你好世界 hello again')
    """
    result = ""
    for text in filter(None, map(str.strip, texts)):
        has_blank = result and not _UNSPACED.match(result[-1]) and not _UNSPACED.match(text)
        result += f" {text}" if has_blank else text
    return result


def _mean_power(samples_T: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean power around the beginning of every frame, and around the end of the last frame."""
    frames = samples_T[: len(samples_T) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.pad(np.square(frames, dtype=np.float64).mean(axis=1), AROUND // 2, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(power, AROUND).mean(axis=1))


def _last_pause(power: npt.NDArray[np.float64]) -> int:
    """The middle of the last of the quietest stretches, in frames."""
    quiet = np.flatnonzero(power <= power.min() + SILENCE)
    gaps = np.flatnonzero(np.diff(quiet) > 1)
    pause = quiet[gaps[-1] + 1 :] if len(gaps) else quiet
    return int(pause[len(pause) // 2])
