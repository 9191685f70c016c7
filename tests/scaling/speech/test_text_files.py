"""Text files as editors and exports leave them: byte order marks, encodings, blank and null values, endless lines."""

import gzip
import json

import pytest
from spoken import TEXTS, write

from scaling.errors import InputError
from scaling.speech.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("scaling.speech.readers.row.MAX_LINE_BYTES", 1000)
    with gzip.open(tmp_path / "bomb.jsonl.gz", "wb") as out:
        out.write(b" " * 5000)
    with pytest.raises(InputError, match="line 1: over 1000 bytes"):
        read_manifest(tmp_path / "bomb.jsonl.gz")


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
