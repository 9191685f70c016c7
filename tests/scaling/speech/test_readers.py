"""Every layout, written by the tool that owns it or as its publisher lays it out, is read back to the same speech."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scaling.errors import InputError
from scaling.speech.audio import AudioError, Clip, read_clip
from scaling.speech.manifest import Manifest, read_manifest

RATE = 16_000
TEXTS = ["甚至出现交易几乎停滞的情况", "一二线城市", "good morning", "the third recording", "última"]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))


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


def shard(path: Path, entries: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path


def test_tar_shards_are_read_in_place_and_in_the_order_of_their_names(tmp_path):
    wenet = {
        f"{n}.{kind}": (encoded(n) if kind == "wav" else TEXTS[n].encode()) for n in (0, 1) for kind in ("txt", "wav")
    }
    described = {
        f"deep/folder/{n}.{kind}": encoded(n, "FLAC") if kind == "flac" else json.dumps({"text": TEXTS[n]}).encode()
        for n in (2, 3, 4)
        for kind in ("flac", "json")
    }
    shard(tmp_path / "train-000.tar", wenet)
    shard(tmp_path / "train-001.tar", described)
    manifest = read_manifest(tmp_path / "train-*.tar")
    assert_is_the_speech(manifest, speakers=False)
    assert manifest.ids == ["0", "1", "deep/folder/2", "deep/folder/3", "deep/folder/4"]


def test_a_key_has_its_folder_and_shards_may_share_keys(tmp_path):
    shard(
        tmp_path / "a-0.tar",
        {f"s{n}/1.{k}": encoded(n) if k == "wav" else TEXTS[n].encode() for n in (0, 1) for k in ("txt", "wav")},
    )
    for n in (2, 3):
        shard(tmp_path / f"a-{n}.tar", {"x.wav": encoded(n), "x.txt": TEXTS[n].encode()})
    shard(tmp_path / "a-4.tar", {"x.y/z.wav": encoded(4), "x.y/z.txt": TEXTS[4].encode(), "x.y/._z.wav": b"from a Mac"})
    manifest = read_manifest(tmp_path / "a-*.tar")
    assert_is_the_speech(manifest, speakers=False)
    assert manifest.ids == ["s0/1", "s1/1", "a-2/x", "a-3/x", "x.y/z"]


def test_a_text_never_meets_the_audio_of_another_key(tmp_path):
    mixed = {"a/1.txt": b"zero", "b/1.wav": encoded(1), "b/1.txt": b"one", "a/1.wav": encoded(0), "c/1.wav": encoded(2)}
    manifest = read_manifest(shard(tmp_path / "s.tar", mixed), max_bad_share=1.0)
    assert list(zip(manifest.ids, manifest.texts, manifest.samples.tolist(), strict=True)) == [("b/1", "one", 9111)]
    assert manifest.skipped == {"no audio": 1, "repeated key": 1, "empty text": 1}
    with tarfile.open(tmp_path / "s.tar", "w") as out:
        for name, content in (("1.wav", encoded(0)), ("1.txt", b"zero"), ("1.txt", b"one"), ("1.wav", encoded(1))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    with pytest.raises(InputError, match=r"repeated member, the first .*'1' has two members of one kind"):
        read_manifest(tmp_path / "s.tar")


def test_names_and_links_in_a_shard_lead_nowhere(tmp_path):
    write(tmp_path / "secret.wav", 1)
    shard(tmp_path / "s.tar", {"../../../0.wav": encoded(0), "../../../0.txt": b"text"})
    with tarfile.open(tmp_path / "s.tar", "a") as out:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, str(tmp_path / "secret.wav"))):
            link = tarfile.TarInfo("1.wav")
            link.type, link.linkname = kind, target
            out.addfile(link)
    manifest = read_manifest(tmp_path / "s.tar", max_bad_share=0.9)
    assert [clip.path for clip in manifest.audio] == [tmp_path / "s.tar"]
    assert manifest.skipped == {"member that is no plain file": 2}


def test_compressed_and_torn_shards_are_told_apart(tmp_path):
    whole = shard(tmp_path / "a.tar", {"0.wav": encoded(0), "0.txt": b"zero", "1.wav": encoded(1), "1.txt": b"one"})
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(whole.read_bytes()))
    with pytest.raises(InputError, match=r"b\.tar\.gz: no tar that can be read in place"):
        read_manifest(tmp_path / "b.tar.gz")
    (tmp_path / "torn.tar").write_bytes(whole.read_bytes()[:-12_000])
    torn = read_manifest(tmp_path / "torn.tar", max_bad_share=1.0)
    assert torn.ids == ["0"]
    assert sum(torn.skipped.values()) >= 1


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
    path.write_text(path.read_text()[:-200])
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


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("scaling.speech.readers.row.MAX_LINE_BYTES", 1000)
    with gzip.open(tmp_path / "bomb.jsonl.gz", "wb") as out:
        out.write(b" " * 5000)
    with pytest.raises(InputError, match="line 1: over 1000 bytes"):
        read_manifest(tmp_path / "bomb.jsonl.gz")


def test_a_clip_that_claims_hours_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("scaling.speech.audio.MAX_CLIP_SECONDS", 0.1)
    with pytest.raises(AudioError, match=r"0\.5 s; expected at most 0\.1 s"):
        read_clip(Clip(path=write(tmp_path / "a.wav", 0)))


LAYOUTS = {
    "m.jsonl": '{"audio_filepath": "0.wav", "text": "zero"}\n',
    "train.tsv": "path\tsentence\n0.wav\tzero\n",
    "WenetSpeech.json": json.dumps(
        {"audios": [{"path": "0.wav", "segments": [{"sid": "0", "begin_time": 0, "end_time": 0.5, "text": "zero"}]}]}
    ),
    "kaldi/text": "0 zero\n",
    "kaldi/wav.scp": "0 ../0.wav\n",
    "kaldi/utt2spk": "0 s0\n",
    "lhotse/recordings.jsonl": json.dumps(
        {"id": "0", "sources": [{"type": "file", "channels": [0], "source": "../0.wav"}], "duration": 0.5}
    ),
    "lhotse/supervisions.jsonl": json.dumps(
        {"id": "0", "recording_id": "0", "start": 0, "duration": 0.5, "text": "zero", "channel": 0}
    ),
    "LibriSpeech/1/2/1-2.trans.txt": "0 zero\n",
}
"""Text files of corpora of one utterance, beside 0.wav."""

CORPUS_OF = {"kaldi": "kaldi", "lhotse": "lhotse/supervisions.jsonl", "LibriSpeech": "LibriSpeech"}


@pytest.mark.parametrize("marked", LAYOUTS)
def test_a_byte_order_mark_is_skipped_in_every_text_file_and_utf_16_is_named(tmp_path, marked):
    for folder in ("", "clips", "LibriSpeech/1/2"):
        write(tmp_path / folder / "0.wav", 0)
    for name, text in LAYOUTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8-sig" if name == marked else "utf-8")
    corpus = tmp_path / CORPUS_OF.get(marked.partition("/")[0], marked)
    manifest = read_manifest(corpus)
    assert (manifest.ids, manifest.texts, manifest.skipped) == (["0"], ["zero"], {})
    (tmp_path / marked).write_text(LAYOUTS[marked], encoding="utf-16")
    with pytest.raises(InputError, match=f"{marked}: text in UTF-16; expected UTF-8"):
        read_manifest(corpus)


def test_marks_in_the_texts_of_a_shard_are_skipped_and_utf_16_is_named(tmp_path):
    texts = {"0": "zero".encode("utf-8-sig"), "1": "one".encode("utf-16"), "2": b"two"}
    entries = {f"{n}.{kind}": encoded(int(n)) if kind == "wav" else texts[n] for n in texts for kind in ("wav", "txt")}
    manifest = read_manifest(shard(tmp_path / "s.tar", entries), max_bad_share=0.5)
    assert list(manifest.texts) == ["zero", "two"]
    assert "1.txt: text in UTF-16; expected UTF-8" in str(manifest.bad_rows)


def test_marks_of_files_that_were_joined_are_skipped_and_utf_16_without_a_mark_is_named(tmp_path):
    rows = [{"audio_filepath": f"{n}.wav", "text": TEXTS[n]} for n in (0, 1)]
    for number in (0, 1):
        write(tmp_path / f"{number}.wav", number)
    joined = b"".join(json.dumps(row).encode("utf-8-sig") + b"\n" for row in rows)
    (tmp_path / "train.jsonl").write_bytes(joined)
    manifest = read_manifest(tmp_path / "train.jsonl")
    assert (manifest.texts, manifest.skipped) == ([TEXTS[0], TEXTS[1]], {})
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        (tmp_path / "train.jsonl").write_text(json.dumps(rows[0]), encoding=encoding)
        with pytest.raises(InputError, match=f"text in {encoding[:6].upper()}; expected UTF-8"):
            read_manifest(tmp_path / "train.jsonl")


def test_braces_and_folders_name_shards_as_webdataset_and_nemo_do(tmp_path):
    for n in range(5):
        name = tmp_path / "tars" / f"{'ab'[n > 2]}-{n:02d}.tar"
        name.parent.mkdir(exist_ok=True)
        shard(name, {f"{n}.wav": encoded(n), f"{n}.txt": TEXTS[n].encode()})
    for pattern in (
        "tars/{a-00,a-01,a-02,b-03,b-04}.tar",
        "tars/[ab]-{00..04}.tar",
        "tars/?-_OP_00..04_CL_.tar",
        "tars",
    ):
        assert_is_the_speech(read_manifest(tmp_path / pattern), speakers=False)
    with pytest.raises(InputError, match=r"\?-05\.tar: no such file or folder"):
        read_manifest(tmp_path / "tars/?-{03..05}.tar")
    with pytest.raises(InputError, match=r"\{1\.\.999999999\} must count up, over at most 100000 numbers"):
        read_manifest(tmp_path / "tars/{1..999999999}.tar")


def test_a_blank_id_is_absence_and_one_that_is_no_text_is_a_bad_row(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.wav", number)
    given = [" ", 7, ["a"]]
    rows = [{"audio_filepath": f"{n}.wav", "text": TEXTS[n], "id": given[n], "speaker": given[n]} for n in range(3)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest = read_manifest(tmp_path / "train.jsonl", max_bad_share=0.5)
    assert (manifest.ids, manifest.speakers) == (["0", "7"], ["", "7"])
    assert "id or key must be text or a number, not ['a']" in str(manifest.bad_rows)


def test_null_is_absence_in_a_manifest(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.wav", number)
    rows = [
        {
            "audio_filepath": f"{n}.wav",
            "text": None,
            "txt": TEXTS[n],
            "id": None,
            "key": None,
            "speaker": None,
            "offset": None,
        }
        for n in range(3)
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps({**row, "duration": None, "channel": None}) + "\n" for row in rows))
    manifest = read_manifest(path)
    assert (manifest.ids, manifest.texts, manifest.speakers) == (["0", "1", "2"], TEXTS[:3], ["", "", ""])
    absent = [{"audio_filepath": f"{n}.wav", "text": TEXTS[n]} for n in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in absent))
    assert read_manifest(path).digest == manifest.digest
