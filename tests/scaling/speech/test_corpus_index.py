"""Rows that are no good are counted, durations are believed only where they must be, and then heard as believed."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scaling.asr.inputs.exact_audio import ExactAudio
from scaling.asr.resources import Sources
from scaling.errors import InputError
from scaling.ledger.plan_file import Source
from scaling.speech.audio import AudioError
from scaling.speech.manifest import Manifest, read_manifest

ROWS = 60


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Path:
    """Sixty recordings whose durations are told to the sample."""
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    rows = []
    for row in range(ROWS):
        samples = 4000 + 100 * row
        soundfile.write(tmp_path / f"{row}.wav", np.full(samples, 0.1), 16_000)
        rows.append(
            {"id": f"u{row}", "audio_filepath": f"{row}.wav", "text": f"word {row}", "duration": samples / 16_000}
        )
    return write(tmp_path / "m.jsonl", rows)


@pytest.fixture
def large(corpus, monkeypatch) -> Path:
    """The same, as if sixty rows were too many headers to read; ten are looked at."""
    monkeypatch.setattr("scaling.speech.corpus_index.MAX_HEADERS", 50)
    monkeypatch.setattr("scaling.speech.corpus_index.CHECKED_HEADERS", 10)
    return corpus


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_repeated_ids_are_counted_and_the_first_is_kept(corpus):
    rows = rows_of(corpus)
    rows[7]["id"] = rows[9]["id"] = "u3"
    manifest = read_manifest(write(corpus, rows), max_bad_share=0.05)
    assert manifest.skipped == {"repeated id": 2}
    assert manifest.bad_rows.first["repeated id"].startswith("line 8, 'u3': ")
    assert manifest.texts[3] == "word 3"
    assert len(manifest) == ROWS - 2


def test_ids_that_only_come_from_file_names_may_repeat(corpus):
    (corpus.parent / "more").mkdir()
    rows = [{**row, "id": ""} for row in rows_of(corpus)]
    (corpus.parent / "more" / "0.wav").write_bytes((corpus.parent / "1.wav").read_bytes())
    rows[1]["audio_filepath"] = "more/0.wav"
    assert len(read_manifest(write(corpus, rows))) == ROWS


def test_lying_durations_are_counted_where_headers_are_read(corpus):
    rows = rows_of(corpus)
    rows[5]["duration"] = 9.0
    manifest = read_manifest(write(corpus, rows))
    assert manifest.bad_rows.wrong_durations == 1
    assert manifest.samples[5] == 4500
    assert not manifest.durations_trusted


def test_the_smallest_share_of_bad_rows_that_is_refused_is_the_readers_to_choose(corpus):
    rows = rows_of(corpus)
    rows[5]["text"] = ""
    write(corpus, rows)
    assert read_manifest(corpus, max_bad_share=1 / ROWS).skipped == {"empty text": 1}
    with pytest.raises(InputError, match=r"1 of 60 rows cannot be used \(1 x empty text, the first line 6, 'u5': "):
        read_manifest(corpus)


def test_an_unwritable_cache_changes_nothing_but_the_time(corpus, monkeypatch):
    expected = read_manifest(corpus)
    monkeypatch.setenv("ASR_SCALING_CACHE", "/proc/nowhere")
    found = read_manifest(corpus)
    assert (found.digest, list(found.texts)) == (expected.digest, list(expected.texts))


def test_a_corpus_too_large_for_its_headers_has_the_digest_of_the_same_corpus_read_in_full(large, monkeypatch):
    believed = read_manifest(large)
    assert believed.durations_trusted
    monkeypatch.setattr("scaling.speech.corpus_index.MAX_HEADERS", ROWS)
    monkeypatch.setenv("ASR_SCALING_CACHE", str(large.parent / "other"))
    counted = read_manifest(large)
    assert not counted.durations_trusted
    assert believed.digest == counted.digest
    assert believed.samples.tolist() == counted.samples.tolist()


def test_headers_are_read_after_all_where_a_row_tells_no_duration(large):
    rows = rows_of(large)
    del rows[30]["duration"]
    assert not read_manifest(write(large, rows)).durations_trusted


def test_many_lies_among_the_headers_looked_at_refuse_the_corpus(large):
    write(large, [{**row, "duration": 1.5} for row in rows_of(large)])
    with pytest.raises(InputError, match=r"10 of 60 rows cannot be used \(10 x wrong duration, the first line .*24000"):
        read_manifest(large)


def believed(corpus: Path, changes: dict[int, float]) -> Manifest:
    rows = rows_of(corpus)
    for row, duration in changes.items():
        rows[row]["duration"] = duration
    manifest = read_manifest(write(corpus, rows), max_bad_share=1.0)
    assert manifest.durations_trusted
    return manifest


def place(manifest: Manifest, text: str) -> int:
    return list(manifest.texts).index(text)


def test_believed_lengths_are_what_is_heard_even_where_they_lie(large, monkeypatch):
    seen = np.random.default_rng(0).choice(ROWS, 10, replace=False)
    unseen = [row for row in range(ROWS) if row not in seen][:4]
    manifest = believed(large, dict(zip(unseen[:3], (0.1, 2.0, 0.5), strict=True)))
    (large.parent / f"{unseen[2]}.wav").unlink()
    recorded = ExactAudio(manifest=manifest, is_training=True)
    for row in range(len(manifest)):
        assert len(recorded.samples(row)) == manifest.samples[row]
    assert len(recorded.bad_recordings) == 3
    cut, filled, lost = (recorded.samples(place(manifest, f"word {row}")) for row in unseen[:3])
    assert len(cut) == 1600
    assert (cut != 0).all()
    assert len(filled) == 32_000
    assert np.count_nonzero(filled) == 4000 + 100 * unseen[1]
    assert len(lost) == 8000
    assert not lost.any()
    monkeypatch.setattr("scaling.asr.inputs.exact_audio.JUDGED_AFTER", 10)
    (large.parent / f"{unseen[3]}.wav").unlink()
    with pytest.raises(AudioError, match="no such audio file"):
        recorded.samples(place(manifest, f"word {unseen[3]}"))


def test_counted_lengths_that_no_longer_hold_are_an_error(corpus):
    manifest = read_manifest(corpus)
    soundfile.write(corpus.parent / "4.wav", np.zeros(9000), 16_000)
    with pytest.raises(AudioError, match=r"4\.wav: promises 4400 samples at 16 kHz, holds 9000"):
        ExactAudio(manifest=manifest, is_training=True).samples(4)


def test_a_worker_refuses_a_corpus_that_is_no_longer_the_planned_one(corpus):
    planned = read_manifest(corpus).within(0.002)
    sources = Sources({planned.digest: Source(path=str(corpus), hours=0.002)})
    assert sources.manifest(planned.digest).digest == planned.digest
    write(corpus, [{**row, "text": "other"} for row in rows_of(corpus)])
    with pytest.raises(InputError, match=f"has changed since it was planned.*expected {planned.digest}"):
        sources.manifest(planned.digest)
