"""A row that names a channel hears that channel, in every layout; several channels are mixed only where a study says
so."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scaling.asr.resources import Sources
from scaling.errors import InputError
from scaling.ledger.plan_file import Source
from scaling.speech.audio import read_clip
from scaling.speech.manifest import read_manifest
from scaling.speech.recordings import find_recordings

RATE = 16_000


@pytest.fixture
def call(tmp_path, monkeypatch) -> np.ndarray:
    """A call of two speakers (T, 2), in steps that 16-bit audio keeps, written as call.wav."""
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    call_TC = np.random.default_rng(0).integers(-3000, 3000, (RATE, 2)) / 2.0**15
    soundfile.write(tmp_path / "call.wav", call_TC, RATE)
    return call_TC.astype(np.float32)


def write_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def nemo(folder: Path) -> Path:
    rows = [{"audio_filepath": "call.wav", "text": f"t{n}", "id": f"u{n}", "channel": n} for n in (0, 1)]
    return write_lines(folder / "nemo.jsonl", rows)


RECORDING = {
    "id": "call",
    "sources": [{"type": "file", "channels": [0, 1], "source": "call.wav"}],
    "sampling_rate": RATE,
    "num_samples": RATE,
    "duration": 1.0,
    "channel_ids": [0, 1],
}


def supervision(channel: object) -> dict[str, object]:
    number = channel[0] if isinstance(channel, list) else channel
    named = {"id": f"u{number}", "recording_id": "call", "start": 0.0, "duration": 1.0, "text": f"t{number}"}
    return {**named, "channel": channel}


def supervisions(folder: Path) -> Path:
    write_lines(folder / "recordings.jsonl", [RECORDING])
    return write_lines(folder / "supervisions.jsonl", [supervision(n) for n in (0, 1)])


def cuts(folder: Path) -> Path:
    rows = [
        {
            "id": f"u{n}",
            "start": 0.0,
            "duration": 1.0,
            "channel": n,
            "supervisions": [supervision(n)],
            "recording": RECORDING,
            "type": "MonoCut",
        }
        for n in (0, 1)
    ]
    return write_lines(folder / "cuts.jsonl", rows)


def multi_cut(folder: Path) -> Path:
    """One cut of both channels, whose supervisions are on one each."""
    both = {"id": "both", "start": 0.0, "duration": 1.0, "channel": [0, 1], "recording": RECORDING, "type": "MultiCut"}
    return write_lines(folder / "multi.jsonl", [{**both, "supervisions": [supervision(0), supervision([1])]}])


def two_sources(folder: Path) -> Path:
    """lhotse's recording of two files, each a channel of its own, of which the second is named 7."""
    call_TC, _ = soundfile.read(folder / "call.wav")
    for n in (0, 1):
        soundfile.write(folder / f"side{n}.wav", call_TC[:, n], RATE)
    sources = [{"type": "file", "channels": [name], "source": f"side{n}.wav"} for n, name in enumerate((0, 7))]
    write_lines(folder / "recordings.jsonl", [{**RECORDING, "sources": sources, "channel_ids": [0, 7]}])
    return write_lines(folder / "supervisions.jsonl", [supervision(0), {**supervision(7), "id": "u1", "text": "t1"}])


def kaldi_sides(folder: Path) -> Path:
    data = folder / "sides"
    data.mkdir()
    (data / "wav.scp").write_text("call-A ../call.wav\ncall-B ../call.wav\n")
    (data / "reco2file_and_channel").write_text("call-A call A\ncall-B call B\n")
    (data / "segments").write_text("u0 call-A 0.0 1.0\nu1 call-B 0.0 -1\n")
    (data / "text").write_text("u0 t0\nu1 t1\n")
    return data


def kaldi_segments(folder: Path) -> Path:
    data = folder / "numbered"
    data.mkdir()
    (data / "wav.scp").write_text("call ../call.wav\n")
    (data / "segments").write_text("u0 call 0.0 -1 0\nu1 call 0.0 1.0 1\n")
    (data / "text").write_text("u0 t0\nu1 t1\n")
    return data


def tar(folder: Path) -> Path:
    with tarfile.open(folder / "s.tar", "w") as out:
        for n in (0, 1):
            fields = json.dumps({"text": f"t{n}", "channel": n}).encode()
            for name, content in ((f"u{n}.json", fields), (f"u{n}.wav", (folder / "call.wav").read_bytes())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
    return folder / "s.tar"


def shar(folder: Path) -> Path:
    """lhotse's shard of the channels 2 and 3 of a recording, which a supervision names each; the id has a dot."""
    both = {"id": "both.1", "start": 0, "duration": 1.0, "channel": [2, 3], "recording": RECORDING, "type": "MultiCut"}
    speech = [{**supervision(n), "channel": [2 + n]} for n in (0, 1)]
    (folder / "shar").mkdir()
    write_lines(folder / "shar" / "cuts.000000.jsonl", [{**both, "supervisions": speech}])
    content = (folder / "call.wav").read_bytes()
    with tarfile.open(folder / "shar" / "recording.000000.tar", "w") as out:
        member = tarfile.TarInfo("both.1.wav")
        member.size = len(content)
        out.addfile(member, io.BytesIO(content))
    return folder / "shar"


LAYOUTS = [nemo, supervisions, cuts, multi_cut, two_sources, kaldi_sides, kaldi_segments, tar, shar]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_row_hears_the_channel_that_it_names(layout, call, tmp_path):
    corpus = layout(tmp_path)
    manifest = read_manifest(corpus)
    assert list(manifest.texts) == ["t0", "t1"]
    assert not manifest.skipped
    for clip, channel_T in zip(manifest.audio, call.T, strict=True):
        assert np.array_equal(read_clip(clip), channel_T)
    found = find_recordings([corpus], max_seconds=30.0)  # what `transcribe` reads
    for recording, channel_T in zip(found, call.T, strict=True):
        (clip,) = recording.segments
        assert np.array_equal(read_clip(clip), channel_T)


def test_several_channels_and_none_named_are_mixed_only_where_asked_for(call, tmp_path):
    corpus = write_lines(tmp_path / "m.jsonl", [{"audio_filepath": "call.wav", "text": "both"}])
    with pytest.raises(InputError, match=r"several channels and none named.*2 channels; .*mix_channels: true"):
        read_manifest(corpus)
    with pytest.raises(InputError, match="--mix-channels"):
        find_recordings([tmp_path / "call.wav"], max_seconds=30.0)
    mixed = read_manifest(corpus, mix_channels=True)
    assert np.array_equal(read_clip(mixed.audio[0]), call.mean(axis=1))
    (found,) = find_recordings([tmp_path / "call.wav"], max_seconds=30.0, mix_channels=True)
    assert np.array_equal(read_clip(found.clip), call.mean(axis=1))
    sources = Sources({mixed.digest: Source(path=str(corpus), hours=None, mix_channels=True)})
    assert sources.manifest(mixed.digest).digest == mixed.digest  # a worker hears what was planned


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (2, r"the recording has no channel 2; expected 0 to 1"),
        (-1, r"channel must be one whole number, 0 or more, not -1"),
        ("left", "not 'left'"),
        ([0, 1], r"not \[0, 1\]"),
        (True, "not True"),
    ],
)
def test_a_channel_that_is_not_there_is_a_bad_row(channel, message, call, tmp_path):
    rows = [{"audio_filepath": "call.wav", "text": "a", "channel": channel}]
    with pytest.raises(InputError, match=message):
        read_manifest(write_lines(tmp_path / "m.jsonl", rows))


def test_a_channel_may_be_a_number_of_a_table_and_the_average_is_heard_where_the_study_says_so(call, tmp_path):
    rows = [{"audio_filepath": "call.wav", "text": "a", "channel": name} for name in (1.0, "average")]
    corpus = write_lines(tmp_path / "m.jsonl", rows)
    second, mean = read_manifest(corpus, mix_channels=True).audio
    assert np.array_equal(read_clip(second), call[:, 1])
    assert np.array_equal(read_clip(mean), call.mean(axis=1))
    with pytest.raises(InputError, match="1 x several channels and none named"):
        read_manifest(corpus)


def test_a_fault_of_one_supervision_takes_no_other_of_its_cut_along(call, tmp_path):
    corpus = multi_cut(tmp_path)
    (cut,) = map(json.loads, corpus.read_text().splitlines())
    cut["supervisions"].insert(0, {**supervision(0), "id": "u9", "channel": [0, 5]})
    manifest = read_manifest(write_lines(corpus, [cut]), max_bad_share=0.5)
    assert list(manifest.texts) == ["t0", "t1"]
    assert manifest.bad_rows.total == 1
    assert "line 1: channel must be one whole number, 0 or more, not [0, 5]" in str(manifest.bad_rows)


def test_kaldi_says_which_channel_and_which_segment_is_wrong(call, tmp_path):
    data = kaldi_sides(tmp_path)
    (data / "segments").write_text("u0 call-A 0.0 1.0 x\nu1 call-B 0.9 0.5\n")
    with pytest.raises(InputError, match="'u0' is on channel 'x' in segments; expected a number from 0"):
        read_manifest(data)
    (data / "reco2file_and_channel").write_text("call-A call A\ncall-B call left\n")
    (data / "segments").write_text("u0 call-A 0.0 1.0\nu1 call-B 0.0 -1\n")
    with pytest.raises(InputError, match="'call-B' is on channel 'LEFT' in reco2file_and_channel; expected A, B or"):
        read_manifest(data)


def test_a_side_that_is_cut_out_already_is_heard_whatever_its_letter(call, tmp_path):
    soundfile.write(tmp_path / "right.wav", call[:, 1], RATE)
    data = kaldi_sides(tmp_path)
    (data / "wav.scp").write_text("call-A ../call.wav\ncall-B ../right.wav\n")
    assert np.array_equal(read_clip(read_manifest(data).audio[1]), call[:, 1])


def test_the_channel_is_part_of_what_a_corpus_is_only_where_there_are_several(call, tmp_path):
    def digest(audio: str, **fields: object) -> str:
        corpus = write_lines(tmp_path / "m.jsonl", [{"audio_filepath": audio, "text": "a", **fields}])
        return read_manifest(corpus, mix_channels=True).digest

    soundfile.write(tmp_path / "mono.wav", call[:, 0], RATE)
    assert digest("mono.wav") == digest("mono.wav", channel=0) == digest("call.wav")
    assert len({digest("call.wav"), digest("call.wav", channel=0), digest("call.wav", channel=1)}) == 3


def test_both_channels_of_one_stretch_are_two_utterances_with_names_of_their_own(call, tmp_path):
    rows = [{"audio_filepath": "call.wav", "text": f"t{n}", "channel": n} for n in (0, 1)]
    manifest = read_manifest(write_lines(tmp_path / "m.jsonl", rows))
    assert list(manifest.ids) == ["call-ch0", "call-ch1"]
    first, second = manifest.audio
    assert not first.overlaps(second)
