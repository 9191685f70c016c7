"""Long recordings are cut in their pauses: every sample in one segment, none longer than the model hears."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scaling.speech.audio import AudioError, Clip, clip_samples, read_clip, read_header
from scaling.speech.long_audio import FRAME, quietest_places, split_long_audio
from scaling.speech.manifest import read_manifest

SHARED = Path(os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[4] / "shared") / "corpora"


def speech_with_pauses(pauses: list[tuple[float, float]], seconds: float, level: float = 0.0) -> np.ndarray:
    """Noise with quiet stretches (from, to), in seconds; `level` is the amplitude within them."""
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal(round(seconds * 16_000))
    for start, end in pauses:
        samples[round(start * 16_000) : round(end * 16_000)] *= level
    return samples.astype(np.float32)


@pytest.mark.parametrize("level", [0.0, 0.01])
def test_cuts_lie_in_the_last_pause_of_the_second_half(level):
    samples = speech_with_pauses([(3.0, 3.8), (7.0, 7.8), (9.0, 9.6), (14.0, 15.0)], 25.0, level)
    first, second, *rest = [cut / 16_000 for cut in quietest_places(samples, 160_000)]
    assert 9.08 <= first <= 9.52 if level == 0.0 else 7.0 < first < 9.6
    assert 14.0 < second < 15.0
    assert len(rest) == 1


def test_of_equal_silence_the_middle_is_taken():
    samples = speech_with_pauses([(6.0, 8.0)], 12.0)
    assert quietest_places(samples, 160_000) == pytest.approx([7 * 16_000], abs=FRAME)


@pytest.mark.parametrize("seed", range(20))
def test_no_segment_is_too_long_and_only_the_last_is_short(seed):
    rng = np.random.default_rng(seed)
    longest = int(rng.integers(2 * FRAME, 40 * FRAME))
    samples = (0.1 * rng.standard_normal(int(rng.integers(longest, 12 * longest)))).astype(np.float32)
    sizes = np.diff([0, *quietest_places(samples, longest), len(samples)])
    assert sizes.sum() == len(samples)
    assert sizes.max() <= longest
    assert sizes.min() >= FRAME
    assert len(sizes) <= 2 * -(-len(samples) // (longest // FRAME * FRAME)) + 1


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
def test_segments_meet_without_a_gap_or_an_overlap_at_the_recordings_own_rate(rate, tmp_path):
    whole = np.random.default_rng(rate).integers(-9000, 9000, 13 * rate + 77).astype(np.int16)
    soundfile.write(tmp_path / "long.flac", whole, rate)
    clip = Clip(path=tmp_path / "long.flac", start=0.5, seconds=12.0)
    found = split_long_audio(clip, clip_samples(clip, read_header(clip)), 3 * 16_000)
    edges = [(round(part.start * rate), round((part.start + part.seconds) * rate)) for part in found]
    assert edges[0][0] == round(0.5 * rate)
    assert edges[-1][1] == round(12.5 * rate)
    assert all(end == start for (_, end), (start, _) in pairwise(edges))
    assert all(clip_samples(part, read_header(part)) <= 3 * 16_000 for part in found)
    if rate == 16_000:
        assert np.array_equal(np.concatenate([read_clip(part) for part in found]), read_clip(clip))


def test_what_fits_is_not_opened_and_what_cannot_be_read_is_refused(tmp_path):
    absent = Clip(path=tmp_path / "absent.wav")
    assert split_long_audio(absent, 16_000, 16_000) == [absent]
    with pytest.raises(AudioError, match="no such audio file"):
        split_long_audio(absent, 16_001, 16_000)


@pytest.mark.parametrize("name", ["aishell_sample_S0252/test.jsonl", "ljspeech_part/test.jsonl"])
def test_joined_utterances_are_cut_between_them(name, tmp_path, monkeypatch):
    if not (SHARED / name).exists():
        pytest.skip("no shared corpora on this machine")
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    manifest = read_manifest(SHARED / name)
    noise, joined, spoken = np.random.default_rng(0), [], []
    for clip in manifest.audio[:12]:
        begin = sum(map(len, joined))
        joined += [read_clip(clip), 1e-5 * noise.standard_normal(9_600).astype(np.float32)]
        spoken.append((begin, begin + len(joined[-2])))
    cuts = quietest_places(np.concatenate(joined), 480_000)
    assert cuts
    assert not any(start < cut < end for cut in cuts for start, end in spoken)
