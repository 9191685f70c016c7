"""Recordings longer than a model hears at once, in segments: cut where they are quietest, without overlap.

The rule: the longest stretch that fits is taken from the front, and it ends in its second half, where the 160 ms around
are quietest in mean power; of places equally quiet the last pause counts, and its middle. So it goes on until the rest
fits. Every sample is in one segment.
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
"""Cuts lie at multiples of 40 ms: a whole number of samples at every usual rate, so that segments meet exactly."""

AROUND = 4
"""Frames that a cut is judged by: 160 ms outlast the closure of a stop, which is no pause (assumption)."""

_UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")

SILENCE = 1e-10
"""Mean powers that differ by less are alike: 100 dB below full scale nothing is heard."""


def split_long_audio(clip: Clip, samples: int, max_samples: float) -> list[Clip]:
    """The clip of so many samples at 16 kHz, in stretches of at most `max_samples`; the clip itself where it fits.

    Raises AudioError where it cannot be read, or takes over an hour.
    """
    if samples <= max_samples:
        return [clip]
    begin = clip.start or 0.0
    cuts = [0, *quietest_cuts(read_clip(clip), int(max_samples)), samples]
    edges = [begin + cut / SAMPLE_RATE for cut in cuts]
    return [replace(clip, start=start, seconds=end - start) for start, end in pairwise(edges)]


def quietest_cuts(samples_T: npt.NDArray[np.float32], max_samples: int) -> list[int]:
    """Where to cut, by the rule above, so that no segment has more than `max_samples`; those are two frames or more."""
    loudness = _loudness(samples_T)
    most, cuts = max_samples // FRAME, [0]
    while len(samples_T) - cuts[-1] * FRAME > max_samples:
        first, last = cuts[-1] + (most + 1) // 2, min(cuts[-1] + most, len(loudness) - 2)
        cuts.append(first + _last_pause(loudness[first : last + 1]))
    return [cut * FRAME for cut in cuts[1:]]


def join_texts(texts: Sequence[str]) -> str:
    """What was written about each segment as one text: with blanks, but none beside Chinese or Japanese characters.

    >>> join_texts(["one two", " three"]), join_texts(["你好", "世界 hello", "", "again"])
    ('one two three', '你好世界 hello again')
    """
    whole = ""
    for text in filter(None, map(str.strip, texts)):
        blank = whole and not _UNSPACED.match(whole[-1]) and not _UNSPACED.match(text)
        whole += f" {text}" if blank else text
    return whole


def _loudness(samples_T: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean power around the beginning of every frame, and around the end of the last."""
    frames = samples_T[: len(samples_T) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.pad(np.square(frames, dtype=np.float64).mean(axis=1), AROUND // 2, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(power, AROUND).mean(axis=1))


def _last_pause(loudness: npt.NDArray[np.float64]) -> int:
    """The middle of the last of the quietest stretches."""
    quiet = np.flatnonzero(loudness <= loudness.min() + SILENCE)
    gaps = np.flatnonzero(np.diff(quiet) > 1)
    pause = quiet[gaps[-1] + 1 :] if len(gaps) else quiet
    return int(pause[len(pause) // 2])
