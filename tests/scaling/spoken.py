"""Five short recordings with their texts, for tests of what reads them."""

import io
import tarfile
from pathlib import Path

import numpy as np
import soundfile

from scaling.speech.audio import read_clip
from scaling.speech.manifest import Manifest

RATE = 16_000


TEXTS = ["甚至出现交易几乎停滞的情况", "一二线城市", "good morning", "the third recording", "última"]


def speech(number: int) -> np.ndarray:
    """A recording of its own for each number, in steps that 16-bit audio keeps."""
    rng = np.random.default_rng(number)
    return rng.integers(-3000, 3000, 8000 + 1111 * number).astype(np.float32) / 32768


def write(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speech(number), RATE)
    return path


def encoded(number: int, kind: str = "WAV") -> bytes:
    held = io.BytesIO()
    soundfile.write(held, speech(number), RATE, format=kind)
    return held.getvalue()


def assert_is_the_speech(manifest: Manifest, *, speakers: bool = True) -> None:
    """All five utterances, in order, sample for sample."""
    assert manifest.texts == TEXTS
    if speakers:
        assert manifest.speakers == [f"s{number % 2}" for number in range(5)]
    assert manifest.samples.tolist() == [len(speech(number)) for number in range(5)]
    for number, clip in enumerate(manifest.audio):
        assert np.array_equal(read_clip(clip), speech(number))
    assert not manifest.skipped


def shard(path: Path, entries: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path
