"""Every layout, written by the tool that owns it or as its publisher lays it out, is read back to the same speech."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from spoken import RATE, TEXTS, assert_is_the_speech, encoded, speech, write

from scaling.errors import InputError
from scaling.speech.audio import AudioError, Clip, read_clip
from scaling.speech.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("own_cache")


def one_long_recording(path: Path) -> list[tuple[float, float]]:
    """The five one after the other, half a second between them; start and duration of each, in seconds."""
    pieces, stretches, at = list[np.ndarray](), list[tuple[float, float]](), 0
    for number in range(5):
        stretches.append((at / RATE, len(speech(number)) / RATE))
        pieces += [speech(number), np.zeros(RATE // 2, dtype=np.float32)]
        at += len(speech(number)) + RATE // 2
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate(pieces), RATE)
    return stretches


def test_stretches_of_a_json_lines_manifest_are_read_from_the_long_recording(tmp_path):
    stretches = one_long_recording(tmp_path / "long.flac")
    rows = [
        {
            "audio_filepath": "long.flac",
            "offset": start,
            "duration": duration,
            "text": text,
            "speaker": f"s{number % 2}",
        }
        for number, ((start, duration), text) in enumerate(zip(stretches, TEXTS, strict=True))
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert_is_the_speech(read_manifest(tmp_path / "m.jsonl"))
    beyond = {"audio_filepath": "long.flac", "offset": 1000, "duration": 1, "text": "a"}
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, beyond]))
    manifest = read_manifest(tmp_path / "m.jsonl", max_bad_share=0.5)
    assert manifest.skipped == {"stretch beyond the recording's end": 1}
    assert "line 6, 'long-1000.000-1001.000': " in manifest.bad_rows.first["stretch beyond the recording's end"]


def test_kaldi_directories_are_read_with_and_without_segments(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
        (folder / "text").write_text("".join(f"u{number} {text}\n" for number, text in enumerate(TEXTS)))
        (folder / "utt2spk").write_text("".join(f"u{number} s{number % 2}\n" for number in range(5)))
    (whole / "wav.scp").write_text("".join(f"u{n} {write(tmp_path / f'{n}.wav', n)}\n" for n in range(5)))
    stretches = one_long_recording(cut / "long.wav")
    (cut / "wav.scp").write_text("rec long.wav\n")
    (cut / "segments").write_text("".join(f"u{n} rec {a:.6f} {a + d:.6f}\n" for n, (a, d) in enumerate(stretches)))
    assert_is_the_speech(read_manifest(whole))
    assert_is_the_speech(read_manifest(cut))
    assert read_manifest(cut).ids == ["u0", "u1", "u2", "u3", "u4"]


def test_kaldi_pipes_and_gaps_are_faults_that_say_what_stands_there(tmp_path):
    write(tmp_path / "0.wav", 0)
    (tmp_path / "wav.scp").write_text("u0 0.wav\nu1 sox 1.wav -t wav - |\n")
    (tmp_path / "text").write_bytes(b"u0 a\nu1 b\nu2 c\nu3 \xff\n")
    manifest = read_manifest(tmp_path, max_bad_share=1.0)
    assert manifest.ids == ["u0"]
    assert manifest.skipped == {"pipe instead of a file": 1, "no recording": 1, "not UTF-8": 1}
    assert "'sox 1.wav -t wav - |'" in manifest.bad_rows.first["pipe instead of a file"]
    assert "text, line 3: 'u2' is not in wav.scp" in manifest.bad_rows.first["no recording"]


@pytest.mark.parametrize("table", ["wav.scp", "segments", "utt2spk"])
def test_a_name_given_twice_in_a_kaldi_table_is_a_bad_row(tmp_path, table):
    write(tmp_path / "0.wav", 0)
    lines = {"wav.scp": "r 0.wav", "segments": "u r 0 0.2", "utt2spk": "u s", "text": "u a"}
    again = {"wav.scp": "r 1.wav", "segments": "u r 0.2 0.4", "utt2spk": "u other"}
    for name, line in lines.items():
        (tmp_path / name).write_text(f"{line}\n{line}\n" if name in again else f"{line}\n")
    (tmp_path / table).write_text(f"{lines[table]}\n{again[table]}\n")
    manifest = read_manifest(tmp_path, max_bad_share=0.5)
    assert manifest.skipped == {"repeated name": 1}
    assert f"{table}, line 2: " in str(manifest.bad_rows)
    assert (list(manifest.speakers), manifest.samples.tolist()) == (["s"], [3200])


@pytest.mark.parametrize("time", ["inf", "1e308", "nan", "-0.5"])
def test_a_time_that_no_recording_has_is_a_bad_row(tmp_path, time):
    write(tmp_path / "0.wav", 0)
    (tmp_path / "wav.scp").write_text("r 0.wav\n")
    (tmp_path / "segments").write_text(f"u r 0 {time}\nv r 0 0.2\n")
    (tmp_path / "text").write_text("u a\nv b\n")
    assert read_manifest(tmp_path, max_bad_share=0.5).ids == ["v"]
    recording = {"sources": [{"type": "file", "channels": [0], "source": "0.wav"}], "id": "r", "duration": 0.5}
    speech = {"id": "u", "text": "a"}
    cut = {"id": "u", "start": 0, "duration": float(time), "supervisions": [speech], "recording": recording}
    (tmp_path / "cuts.jsonl").write_text(f"{json.dumps({**cut, 'id': 'v', 'duration': 0.2})}\n{json.dumps(cut)}\n")
    assert read_manifest(tmp_path / "cuts.jsonl", max_bad_share=0.5).ids == ["v"]


def test_lhotse_cuts_supervisions_and_shar_are_read_as_lhotse_wrote_them(tmp_path):
    lhotse = pytest.importorskip("lhotse", reason="lhotse writes what is read here")
    recordings = lhotse.RecordingSet.from_recordings(
        lhotse.Recording.from_file(write(tmp_path / f"{number}.wav", number)) for number in range(5)
    )
    supervisions = lhotse.SupervisionSet.from_segments(
        lhotse.SupervisionSegment(
            id=f"sup{number}",
            recording_id=str(number),
            start=0.0,
            duration=recordings[str(number)].duration,
            text=text,
            speaker=f"s{number % 2}",
        )
        for number, text in enumerate(TEXTS)
    )
    recordings.to_file(tmp_path / "x_recordings_train.jsonl.gz")
    supervisions.to_file(tmp_path / "x_supervisions_train.jsonl.gz")
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions).to_eager()
    cuts.to_file(tmp_path / "cuts.jsonl.gz")
    (tmp_path / "shar").mkdir()
    cuts.to_shar(tmp_path / "shar", fields={"recording": "wav"}, shard_size=2)
    for name in ("x_supervisions_train.jsonl.gz", "cuts.jsonl.gz", "shar"):
        assert_is_the_speech(read_manifest(tmp_path / name))


def test_a_lhotse_cut_of_several_supervisions_is_cut_at_them(tmp_path):
    lhotse = pytest.importorskip("lhotse", reason="lhotse writes what is read here")
    stretches = one_long_recording(tmp_path / "long.wav")
    recording = lhotse.Recording.from_file(tmp_path / "long.wav")
    supervisions = [
        lhotse.SupervisionSegment(f"u{n}", "long", start, duration, text=TEXTS[n], speaker=f"s{n % 2}")
        for n, (start, duration) in enumerate(stretches)
    ]
    cuts = lhotse.CutSet.from_manifests(
        recordings=lhotse.RecordingSet.from_recordings([recording]),
        supervisions=lhotse.SupervisionSet.from_segments(supervisions),
    ).to_eager()
    cuts.to_file(tmp_path / "cuts.jsonl")
    assert_is_the_speech(read_manifest(tmp_path / "cuts.jsonl"))
    cuts.perturb_speed(1.1).to_eager().to_file(tmp_path / "faster.jsonl")
    with pytest.raises(InputError, match=r"recording 'long_sp1\.1' has transforms; expected it as recorded"):
        read_manifest(tmp_path / "faster.jsonl")


def test_hugging_face_folders_are_read_in_place(tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets writes what is read here")
    rows = {
        "audio": [{"bytes": encoded(number), "path": f"{number}.wav"} for number in range(5)],
        "sentence": TEXTS,
        "speaker_id": [f"s{number % 2}" for number in range(5)],
    }
    features = datasets.Features(
        audio={"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
        sentence=datasets.Value("string"),
        speaker_id=datasets.Value("string"),
    )
    made = datasets.Dataset.from_dict(rows, features=features)
    made.save_to_disk(tmp_path / "held", num_shards=2)
    manifest = read_manifest(tmp_path / "held")
    assert_is_the_speech(manifest)
    assert all(clip.size for clip in manifest.audio)
    made.to_parquet(tmp_path / "held.parquet")
    with pytest.raises(InputError, match=r"load_dataset\(...\)\.save_to_disk"):
        read_manifest(tmp_path / "held.parquet")


def test_parquet_that_names_files_is_read(tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets writes what is read here")
    audio = [str(write(tmp_path / f"{number}.wav", number)) for number in range(5)]
    speakers = [f"s{number % 2}" for number in range(5)]
    made = datasets.Dataset.from_dict({"audio": audio, "text": TEXTS, "speaker": speakers})
    made.to_parquet(tmp_path / "named.parquet")
    assert_is_the_speech(read_manifest(tmp_path / "named.parquet"))


def test_aishell_1_is_read_as_published(tmp_path):
    root = tmp_path / "data_aishell"
    (root / "transcript").mkdir(parents=True)
    names = [f"BAC009S000{number % 2}W{number:04d}" for number in range(5)]
    for number, name in enumerate(names):
        write(root / "wav" / "train" / f"s{number % 2}" / f"{name}.wav", number)
    write(root / "wav" / "train" / "s0" / "without_transcript.wav", 9)
    lines = [f"{name} {' '.join(text)}\n" for name, text in zip(names, TEXTS, strict=True)]
    (root / "transcript" / "aishell_transcript_v0.8.txt").write_text("".join(lines))
    manifest = read_manifest(root / "wav" / "train")
    assert sorted(manifest.texts) == sorted(text.replace(" ", "") for text in TEXTS)
    assert manifest.speakers == ["s0", "s0", "s0", "s1", "s1"]
    assert manifest.ids[0] == names[0]


def test_aishell_2_is_read_as_published(tmp_path):
    folder = tmp_path / "iOS" / "data"
    for number in range(5):
        write(folder / "wav" / "C0001" / f"IC{number}.wav", number)
    (folder / "wav.scp").write_text("".join(f"IC{n}\twav/C0001/IC{n}.wav\n" for n in range(5)))
    (folder / "trans.txt").write_text("".join(f"IC{n}\t{text}\n" for n, text in enumerate(TEXTS)))
    assert_is_the_speech(read_manifest(folder), speakers=False)


def test_librispeech_parts_are_read_alone_and_by_pattern(tmp_path):
    for number, text in enumerate(TEXTS):
        part = "train-clean-100" if number < 2 else "train-other-500"
        chapter = tmp_path / part / f"s{number % 2}" / f"{number}"
        write(chapter / f"19-{number}-0000.flac", number)
        (chapter / f"19-{number}.trans.txt").write_text(f"19-{number}-0000 {text}\n")
    assert read_manifest(tmp_path / "train-clean-100").texts == TEXTS[:2]
    assert sorted(read_manifest(tmp_path / "train-*").texts) == sorted(TEXTS)


def test_common_voice_tables_are_read_by_column_name(tmp_path):
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\n"
    lines = [f"s{n % 2}\tclip_{n}.wav\t{n}\t{text}\t2\n" for n, text in enumerate(TEXTS)]
    for number in range(5):
        write(tmp_path / "clips" / f"clip_{number}.wav", number)
    (tmp_path / "train.tsv").write_text("\ufeff" + header + "".join(lines))
    assert_is_the_speech(read_manifest(tmp_path / "train.tsv"))
    (tmp_path / "test.tsv").write_text(header + lines[0] + "s1\t../../secret.wav\t9\ttext\t2\ns1\tclip_1.wav\n")
    manifest = read_manifest(tmp_path / "test.tsv", max_bad_share=0.9)
    assert manifest.skipped == {"path outside clips": 1, "line cut short": 1}


def test_wenetspeech_is_read_by_part_one_recording_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("scaling.speech.readers.wenetspeech.READ_CHARACTERS", 64)
    stretches = one_long_recording(tmp_path / "audio" / "train" / "Y1.flac")
    segments = [
        {
            "sid": f"Y1_{n}",
            "confidence": 1.0,
            "begin_time": a,
            "end_time": a + d,
            "subsets": ["L", "S"],
            "text": TEXTS[n],
        }
        for n, (a, d) in enumerate(stretches)
    ]
    segments[4]["subsets"] = ["DEV"]
    audios = [{"aid": "Y1", "duration": 9, "path": "audio/train/Y1.flac", "segments": segments}]
    (tmp_path / "WenetSpeech.json").write_text(json.dumps({"dataset": "WenetSpeech", "audios": audios}, indent=2))
    path = tmp_path / "WenetSpeech.json"
    assert_is_the_speech(read_manifest(path), speakers=False)
    assert read_manifest(Path(f"{path}#S")).texts == TEXTS[:4]
    assert read_manifest(Path(f"{path}#DEV")).texts == TEXTS[4:]
    segments[1]["begin_time"], segments[2]["text"] = "soon", "\udce9"  # as a byte that is not UTF-8 is written back
    written = json.dumps({"audios": audios}, ensure_ascii=False).encode(errors="surrogateescape")
    path.write_bytes(written)
    faulty = read_manifest(path, max_bad_share=0.5)
    assert faulty.texts == [TEXTS[0], TEXTS[3], TEXTS[4]]
    assert faulty.skipped == {"field missing or of the wrong type": 1, "not UTF-8": 1}
    path.write_bytes(written[:-200])
    with pytest.raises(InputError, match="ends within its list of recordings"):
        read_manifest(path)


def test_what_is_no_corpus_is_refused_with_what_would_be(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "readme.md").write_text("text")
    for name in ("folder", "readme.md"):
        with pytest.raises(InputError, match="not a corpus in a layout that is known; expected one of: Kaldi"):
            read_manifest(tmp_path / name)
    (tmp_path / "m.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="JSON lines has no parts"):
        read_manifest(tmp_path / "m.jsonl#S")


def test_a_clip_that_claims_hours_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("scaling.speech.audio.MAX_CLIP_SECONDS", 0.1)
    with pytest.raises(AudioError, match=r"0\.5 s; expected at most 0\.1 s"):
        read_clip(Clip(path=write(tmp_path / "a.wav", 0)))
