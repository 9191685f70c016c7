"""Reading audio, and log-mel features equal to Whisper's."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from transformers import WhisperFeatureExtractor

from scaling.asr.model.log_mel import LogMel
from scaling.errors import InputError
from scaling.speech.audio import MIXED, Clip, read_clip


@pytest.mark.parametrize(
    ("mel_bins", "hop_length", "n_fft"), [(80, 160, 400), (128, 160, 400), (80, 320, 400), (64, 320, 384)]
)
@pytest.mark.parametrize("samples", [320, 16_000, 16_159, 16_160, 35_123])
def test_log_mel_equals_whispers_on_one_utterance(
    samples: int, mel_bins: int, hop_length: int, n_fft: int, tmp_path: Path
) -> None:
    theirs = WhisperFeatureExtractor(feature_size=mel_bins, hop_length=hop_length, n_fft=n_fft, chunk_length=30)
    theirs.save_pretrained(tmp_path)
    ours = LogMel.from_directory(tmp_path)
    rng = np.random.default_rng(samples)
    waveform = (0.1 * rng.standard_normal(samples) * np.linspace(0, 1, samples)).astype(np.float32)
    expected = theirs(waveform, sampling_rate=16_000, padding="longest", return_tensors="pt").input_features[0]
    found = ours(waveform)
    assert found.shape == (mel_bins, samples // hop_length) == (mel_bins, ours.frames(samples))
    assert float((found - expected).abs().max()) <= 1e-6


def test_audio_of_any_rate_and_channels_becomes_16_khz_mono(tmp_path: Path) -> None:
    time = np.arange(44_100) / 44_100
    left, right = 0.4 * np.sin(2 * np.pi * 440 * time), np.zeros(44_100)
    soundfile.write(tmp_path / "tone.flac", np.stack([left, right], axis=1), 44_100)
    samples = read_clip(Clip(path=tmp_path / "tone.flac", channel=MIXED))
    assert samples.dtype == np.float32
    assert samples.shape == (16_000,)
    expected = 0.2 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(samples - expected)[200:-200].max() < 1e-3


@pytest.mark.parametrize(("name", "tolerance"), [("same.wav", 2**-15), ("same.flac", 2**-15), ("same.mp3", 0.05)])
def test_wav_flac_and_mp3_are_read(name: str, tolerance: float, tmp_path: Path) -> None:
    expected = 0.3 * np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000)
    soundfile.write(tmp_path / name, expected, 16_000)
    found = read_clip(Clip(path=tmp_path / name))
    assert found.std() == pytest.approx(expected.std(), rel=0.05)
    assert len(found) == len(expected)
    assert np.abs(found - expected)[2000:-2000].max() <= tolerance


def test_missing_broken_and_empty_audio_is_named(tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_bytes(b"RIFF, but not really")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    for name, complaint in (
        ("gone.wav", "no such audio file"),
        ("noise.wav", "not readable"),
        ("empty.wav", "no audio"),
    ):
        with pytest.raises(InputError, match=complaint) as raised:
            read_clip(Clip(path=tmp_path / name))
        assert name in str(raised.value)


def test_a_truncated_file_is_no_silent_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 16_000), 16_000)
    (tmp_path / "half.flac").write_bytes((tmp_path / "whole.flac").read_bytes()[:9000])
    with pytest.raises(InputError, match=r"half\.flac"):
        read_clip(Clip(path=tmp_path / "half.flac"))


def test_audio_too_short_for_a_window_or_too_long_for_the_encoder_is_refused(tmp_path: Path) -> None:
    WhisperFeatureExtractor(chunk_length=2).save_pretrained(tmp_path)
    log_mel = LogMel.from_directory(tmp_path)
    assert log_mel(np.zeros(32_000, np.float32)).shape == (80, 200)
    for samples in (200, 32_160):  # 32 159 samples still give 200 frames
        with pytest.raises(InputError, match=f"audio of {samples} samples"):
            log_mel(np.zeros(samples, np.float32))


def test_wrong_feature_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="preprocessor_config"):
        LogMel.from_directory(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        LogMel.from_directory(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8000}))
    with pytest.raises(InputError, match="expected 16000"):
        LogMel.from_directory(tmp_path)
