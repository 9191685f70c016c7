"""Recordings whose samples are no audio, or that hold less than they promise, are left out and counted by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scaling.asr.inputs.exact_audio import ExactAudio
from scaling.errors import InputError
from scaling.speech.audio import AudioError, Clip, read_clip
from scaling.speech.manifest import read_manifest
from scaling.speech.recordings import find_recordings

RATE, SECONDS = 16_000, 2


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    return tmp_path


def noise(number: int = 0) -> np.ndarray:
    return np.random.default_rng(number).uniform(-0.3, 0.3, SECONDS * RATE)


def corpus_of(folder: Path, names: list[str]) -> Path:
    rows = [{"audio_filepath": name, "text": f"word {number}"} for number, name in enumerate(names)]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "m.jsonl"


def with_sample(value: float) -> np.ndarray:
    samples_T = noise()
    samples_T[20_000] = value
    return samples_T


@pytest.mark.parametrize(
    ("samples_T", "kind", "message"),
    [
        (with_sample(np.nan), "NaN or infinite samples", "a sample is NaN or infinite"),
        (with_sample(-np.inf), "NaN or infinite samples", "a sample is NaN or infinite"),
        (noise() * 2**15, "samples beyond full scale", "a sample of 98"),
        (noise() * 2**31, "samples beyond full scale", "expected numbers from -1 to 1"),
    ],
)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_no_audio_are_found_when_the_corpus_is_read(folder, samples_T, kind, message, subtype):
    soundfile.write(folder / "good.wav", noise(1), RATE, subtype=subtype)
    soundfile.write(folder / "bad.wav", samples_T, RATE, subtype=subtype)
    manifest = read_manifest(corpus_of(folder, ["good.wav", "bad.wav"]), max_bad_share=0.5)
    assert list(manifest.ids) == ["good"]
    assert manifest.skipped == {kind: 1}
    assert message in manifest.bad_rows.first[kind]
    assert "line 2, 'bad'" in manifest.bad_rows.first[kind]
    with pytest.raises(InputError, match=message):
        find_recordings([folder / "bad.wav"], max_seconds=30.0)


def test_an_overshoot_as_codecs_leave_it_is_audio(folder):
    soundfile.write(folder / "loud.wav", noise() * 4, RATE, subtype="FLOAT")
    square = np.sign(np.sin(np.arange(SECONDS * RATE) * 0.3)) * 0.999
    soundfile.write(folder / "square.mp3", square, RATE)
    assert np.abs(read_clip(Clip(path=folder / "square.mp3"))).max() > 1.1
    assert not read_manifest(corpus_of(folder, ["loud.wav", "square.mp3"])).skipped


@pytest.mark.parametrize("suffix", ["mp3", "flac", "wav", "ogg"])
def test_a_whole_recording_of_every_format_is_usable_and_heard_at_its_length(folder, suffix):
    for number, rate in enumerate((8000, 16_000, 22_050, 44_100, 48_000)):
        for part, seconds in enumerate((0.3, 1.0, 7.77)):
            samples_T = np.random.default_rng(number).uniform(-0.3, 0.3, int(rate * seconds))
            soundfile.write(folder / f"{number}-{part}.{suffix}", samples_T, rate)
    manifest = read_manifest(corpus_of(folder, sorted(path.name for path in folder.glob(f"*.{suffix}"))))
    assert len(manifest) == 15
    audio = ExactAudio(manifest=manifest, is_training=False)
    assert [len(audio.samples(row)) for row in range(15)] == manifest.samples.tolist()


@pytest.mark.parametrize("suffix", ["mp3", "flac"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_a_file_that_holds_less_than_its_header_says_is_left_out(folder, suffix, kept):
    whole, short = folder / f"whole.{suffix}", folder / f"short.{suffix}"
    soundfile.write(whole, np.random.default_rng(0).uniform(-0.3, 0.3, 5 * RATE), RATE)
    content = whole.read_bytes()
    short.write_bytes(content[: int(len(content) * kept)])
    manifest = read_manifest(corpus_of(folder, [whole.name, short.name]), max_bad_share=0.5)
    assert list(manifest.ids) == ["whole"]
    assert manifest.skipped == {"shorter than its header says": 1}
    with pytest.raises(InputError, match=f"{short.name}: holds less than the 5 s of its header"):
        read_manifest(folder / "m.jsonl")


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "AIFF", "AU", "W64", "RF64", "NIST", "VOC", "OGG"])
def test_an_uncompressed_file_cut_short_is_left_out_although_its_length_is_counted(folder, form):
    soundfile.write(folder / "whole", noise(), RATE, format=form)
    content = (folder / "whole").read_bytes()
    for kept in (0.3, 0.95):
        (folder / "short").write_bytes(content[: int(len(content) * kept)])
        manifest = read_manifest(corpus_of(folder, ["whole", "short"]), max_bad_share=0.5)
        assert list(manifest.ids) == ["whole"]
        assert manifest.skipped == {"shorter than its header says": 1}


@pytest.mark.parametrize("told", [True, False])
def test_an_mp3_whose_length_is_guessed_wrong_is_left_out_and_one_that_tells_it_is_heard_whole(folder, told):
    """Loud, then quiet, at a variable rate: by the rate of its beginning it is a third as long."""
    soundfile.write(folder / "whole.mp3", noise(1), RATE)
    samples_T = np.concatenate([noise(0), noise(1), np.zeros(4 * RATE)])
    soundfile.write(folder / "v.mp3", samples_T, RATE, bitrate_mode="VARIABLE", compression_level=0.5)
    content = (folder / "v.mp3").read_bytes()
    assert content[2] >> 4 == 8, "64 kbit/s in the first frame, which tells the length"
    (folder / "v.mp3").write_bytes(content if told else content[72 * 64_000 // RATE :])
    manifest = read_manifest(corpus_of(folder, ["whole.mp3", "v.mp3"]), max_bad_share=0.5)
    assert manifest.samples.tolist() == [2 * RATE, 8 * RATE][: 1 + told]
    assert manifest.skipped == ({} if told else {"longer than its header says": 1})


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_header_written_into_a_pipe_promises_nothing(folder, size):
    soundfile.write(folder / "pipe.wav", noise(), RATE)
    content = bytearray((folder / "pipe.wav").read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = size.to_bytes(4, "little")
    (folder / "pipe.wav").write_bytes(content)
    assert read_manifest(corpus_of(folder, ["pipe.wav"])).samples.tolist() == [SECONDS * RATE]


def test_a_codec_that_can_only_be_read_from_its_beginning_is_read(folder):
    soundfile.write(folder / "gsm.wav", noise(), 8000, subtype="GSM610")
    row = {"audio_filepath": "gsm.wav", "text": "a", "offset": 1.0, "duration": 0.5}
    (folder / "m.jsonl").write_text(json.dumps(row))
    manifest = read_manifest(folder / "m.jsonl")
    whole_T, half_T = (read_clip(clip) for clip in (Clip(path=folder / "gsm.wav"), manifest.audio[0]))
    assert np.abs(half_T).max() > 0.1
    assert np.allclose(half_T[100:-100], whole_T[RATE : RATE + 8000][100:-100], atol=1e-3)  # but for the filter's ends


def damaged_within(folder: Path, recordings: int) -> Path:
    """A corpus of flac files, of which the first is damaged in its middle, which no header tells."""
    for number in range(recordings):
        soundfile.write(folder / f"{number}.flac", noise(number), RATE)
    content = bytearray((folder / "0.flac").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    (folder / "0.flac").write_bytes(content)
    return corpus_of(folder, [f"{number}.flac" for number in range(recordings)])


def test_in_training_damage_within_the_tolerance_is_silence_and_counted(folder):
    audio = ExactAudio(manifest=read_manifest(damaged_within(folder, 100)), is_training=True)
    assert not audio.samples(0).any()
    assert audio.samples(1).any()
    assert list(audio.bad_recordings) == [0]


def test_damage_that_no_header_tells_is_found_before_anything_is_transcribed(folder):
    damaged_within(folder, 2)
    assert [recording.id for recording in find_recordings([folder / "1.flac"], max_seconds=30.0)] == ["1"]
    with pytest.raises(InputError, match=r"0\.flac: (not readable as audio|holds less than)"):
        find_recordings([folder], max_seconds=30.0)


def test_no_second_run_ends_for_the_same_recording(folder):
    corpus = damaged_within(folder, 100)
    planned = read_manifest(corpus)
    audio = ExactAudio(manifest=planned, is_training=False)
    with pytest.raises(AudioError, match=r"0\.flac"):
        audio.samples(0)
    again = read_manifest(corpus)
    assert again.ids == [str(number) for number in range(1, 100)]
    assert again.bad_rows.total == 1
    assert "0.flac" in str(again.bad_rows)
    soundfile.write(folder / "0.flac", noise(0), RATE)  # mended
    assert read_manifest(corpus).digest == planned.digest


def test_no_second_run_ends_for_another_stretch_of_a_damaged_recording(folder):
    """Damage in the middle of 2 s: of four stretches the two in the middle cannot be read."""
    damaged_within(folder, 100)
    rows = [{"audio_filepath": "0.flac", "text": f"{n}", "offset": n / 2, "duration": 0.5} for n in range(4)]
    rows += [{"audio_filepath": f"{n}.flac", "text": f"word {n}"} for n in range(1, 100)]
    corpus = folder / "m.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    planned = read_manifest(corpus)
    ended = ExactAudio(manifest=planned, is_training=False)
    with pytest.raises(AudioError, match=r"0\.flac"):
        list(map(ended.samples, range(len(planned))))
    again = read_manifest(corpus, max_bad_share=0.05)
    assert 1 <= len(planned) - len(again) <= 3
    audio = ExactAudio(manifest=again, is_training=False)
    assert all(len(audio.samples(row)) for row in range(len(again)))
