import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import tokenizers

from scaling.errors import InputError
from scaling.speech.audio import Clip, resampled
from scaling.speech.lengths import manifest_lengths
from scaling.speech.manifest import read_manifest

SHARED = Path(os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[4] / "shared") / "corpora"


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Path:
    """Forty utterances of growing length at changing rates, whose manifest lies about their duration."""
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    rows = []
    for row in range(40):
        rate = (8000, 16_000, 22_050, 44_100)[row % 4]
        soundfile.write(tmp_path / f"{row}.wav", np.zeros(1001 + 977 * row), rate)
        rows.append({"audio_filepath": f"{row}.wav", "duration": 99, "text": f"word {row}", "speaker": f"s{row % 3}"})
    write(tmp_path / "m.jsonl", rows)
    return tmp_path / "m.jsonl"


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_samples_are_counted_from_the_audio_and_not_believed(corpus):
    manifest = read_manifest(corpus)
    for row, samples in enumerate(manifest.samples):
        audio, rate = soundfile.read(corpus.parent / f"{row}.wav")
        assert samples == len(soxr.resample(audio, rate, 16_000))
    assert manifest.hours == manifest.samples.sum() / 16_000 / 3600


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 32_000, 44_100, 48_000])
def test_resampled_lengths_are_those_of_the_resampler(rate):
    for samples in (1, 2, 3, 997, 1601, 22_051, 123_457):
        assert resampled(samples, rate) == len(soxr.resample(np.zeros(samples), rate, 16_000))


def test_columns_keep_the_manifests_order_and_paths_start_at_it(corpus):
    manifest = read_manifest(corpus)
    assert manifest.ids[:2] == ["0", "1"]
    assert manifest.texts[7] == "word 7"
    assert manifest.speakers[4] == "s1"
    assert manifest.audio[3] == Clip(path=corpus.parent / "3.wav")


def test_wenet_manifests_are_read_alike(corpus):
    rows = [{"wav": r["audio_filepath"], "txt": r["text"], "key": f"k{n}"} for n, r in enumerate(rows_of(corpus))]
    manifest = read_manifest(write(corpus.parent / "wenet.jsonl", rows))
    assert manifest.ids[5] == "k5"
    assert manifest.texts == read_manifest(corpus).texts
    assert (manifest.samples == read_manifest(corpus).samples).all()


def test_the_digest_is_of_content_and_order_and_never_of_paths(corpus, tmp_path):
    digest = read_manifest(corpus).digest
    rows = rows_of(corpus)
    (tmp_path / "elsewhere").mkdir()
    moved = [
        {**row, "audio_filepath": f"../{row['audio_filepath']}", "id": f"x{n}", "duration": 1}
        for n, row in enumerate(rows)
    ]
    assert read_manifest(write(tmp_path / "elsewhere" / "m.jsonl", moved)).digest == digest
    for changed in ({"text": "other"}, {"speaker": "other"}, {"audio_filepath": "1.wav"}):
        assert read_manifest(write(tmp_path / "changed.jsonl", [{**rows[0], **changed}, *rows[1:]])).digest != digest
    assert read_manifest(write(tmp_path / "reversed.jsonl", rows[::-1])).digest != digest


def test_fewer_hours_are_a_subset_of_more_whatever_the_order(corpus, tmp_path):
    whole = read_manifest(corpus)
    nested = [set(read_manifest(corpus).within(hours).ids) for hours in (0.001, 0.004, 0.01, 1)]
    for smaller, larger in itertools.pairwise(nested):
        assert smaller < larger
    assert nested[-1] == set(whole.ids)
    shuffled = write(tmp_path / "shuffled.jsonl", rows_of(corpus)[::-1])
    assert set(read_manifest(shuffled).within(0.004).ids) == nested[1]
    capped = read_manifest(corpus).within(0.004)
    assert 0.002 < capped.hours <= 0.004
    assert capped.ids == [name for name in whole.ids if name in nested[1]]


def test_changed_audio_is_noticed_although_samples_are_cached(corpus):
    before = read_manifest(corpus).samples
    assert (read_manifest(corpus).samples == before).all()
    soundfile.write(corpus.parent / "0.wav", np.zeros(5000), 16_000)
    assert read_manifest(corpus).samples[0] == 5000


def test_unusable_rows_are_counted_by_cause(corpus):
    rows = rows_of(corpus)
    (corpus.parent / "0.wav").write_text("not audio")
    rows[1]["text"] = " "
    manifest = read_manifest(write(corpus, rows), max_bad_share=0.05)
    assert manifest.skipped == {"unreadable audio": 1, "empty text": 1}
    assert len(manifest) == len(manifest.texts) == 38
    soundfile.write(corpus.parent / "2.wav", np.zeros(399), 16_000)
    with pytest.raises(
        InputError, match=r"3 of 40 rows cannot be used \(.*1 x audio under 25 ms, the first line 3, '2'"
    ):
        read_manifest(corpus, max_bad_share=0.05)


def test_tokens_are_counted_with_the_end_token_and_cached_by_tokenizer(corpus, tmp_path):
    manifest = read_manifest(corpus)
    encoder, llm = tmp_path / "encoder", tmp_path / "llm"
    for directory, characters in ((encoder, "word 0123456789"), (llm, "word ")):
        directory.mkdir()
        vocabulary = {character: number for number, character in enumerate(dict.fromkeys(characters))}
        model = tokenizers.models.BPE(vocab=vocabulary, merges=[])
        tokenizers.Tokenizer(model).save(str(directory / "tokenizer.json"))
    for _ in range(2):
        lengths = manifest_lengths(manifest, encoder=encoder, llm=llm)
        assert lengths.asr_tokens.tolist() == [len(text) + 1 for text in manifest.texts]
        assert lengths.llm_tokens.tolist() == [len("word ") + 1] * 40
    assert not lengths.assumed
    assert lengths[np.array([3, 1])].samples.tolist() == manifest.samples[[3, 1]].tolist()


def test_without_a_tokenizer_tokens_are_an_assumption_that_says_so(corpus):
    rows = [{**row, "text": "今天天气 good day"} for row in rows_of(corpus)]
    lengths = manifest_lengths(read_manifest(write(corpus, rows)), encoder=None, llm=None)
    assert lengths.assumed
    assert lengths.asr_tokens.tolist() == [4 + 3 + 1] * 40  # four ideographs, nine other characters, the end


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "1 x not JSON, the first .*line 2: "),
        ("[1]", "line 2: expected an object, found list"),
        ('{"text": "a"}', r"line 2: no field audio_filepath \(or wav\); it has text"),
        ('{"wav": "0.wav"}', "1 x empty text, the first line 2, '0#2'"),
        ('{"wav": "0.wav", "txt": "a", "offset": 0.1}', "line 2: offset without duration; expected both"),
        ('{"wav": "0.wav", "txt": 3}', "line 2: text must be a string, not 3"),
        ('{"wav": "nowhere.wav", "txt": "a"}', "line 2, 'nowhere': .*nowhere.wav: no such audio file"),
    ],
)
def test_bad_rows_are_refused_with_file_and_line(corpus, line, message):
    corpus.write_text('{"wav": "0.wav", "txt": "a"}\n' + line + "\n")
    with pytest.raises(InputError, match=message):
        read_manifest(corpus)


def test_missing_empty_and_unsatisfiable_manifests_are_refused(corpus, tmp_path):
    with pytest.raises(InputError, match=r"absent\.jsonl: no such file or folder; expected a corpus"):
        read_manifest(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="the manifest is empty"):
        read_manifest(write(tmp_path / "empty.jsonl", []))
    with pytest.raises(InputError, match="hours = 1e-06 holds no utterance"):
        read_manifest(corpus).within(1e-6)
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        manifest_lengths(read_manifest(corpus), encoder=tmp_path, llm=None)
    (tmp_path / "binary.jsonl").write_bytes(b"\xfd\xfe{}")
    with pytest.raises(InputError, match=r"not JSON, the first .*line 1: "):
        read_manifest(tmp_path / "binary.jsonl")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not here (ASR_SCALING_SHARED)")
@pytest.mark.parametrize("name", ["fsdd/dev.jsonl", "audio_cmn/dev.jsonl", "aishell_sample_S0252/dev.jsonl"])
def test_headers_of_flac_and_mp3_tell_what_decoding_gives(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path))
    manifest = read_manifest(SHARED / name)
    for audio, samples in list(zip(manifest.audio, manifest.samples, strict=True))[:40]:
        decoded, rate = soundfile.read(audio.path)
        assert samples == resampled(len(decoded), rate)
