"""The synthetic corpora: deterministic bytes, disjoint splits, nested hours, files that are whole or absent."""

import hashlib
import inspect
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from scaling.errors import InputError
from scaling.speech.synthetic import corpus_files
from scaling.speech.synthetic import recipes as synthetic
from scaling.speech.synthetic.corpus_files import write_corpus
from scaling.speech.synthetic.espeak import SynthesisRequest, synthesise
from scaling.speech.synthetic.recipes import RECIPES, Utterance, render, split_of, utterances

pytest.importorskip("espeakng_loader", reason="the synthesiser is an optional extra: asr-scaling[synth]")

DIGITS = RECIPES["synthetic-zh-digits"]
BREATHY = SynthesisRequest(text="三一四一五", voice="cmn+f3", rate_wpm=300, pitch=50, seed=7)
# Of the first twelve training utterances of each recipe with seed 0, as espeak-ng 1.52.0 and soxr 1.1 have made them
# since the corpora exist. Manifests, and with them the keys of published runs, stand on these bytes.
PUBLISHED = {
    "synthetic-zh": "a99606ae76b201a7",
    "synthetic-zh-voices": "7946d572f52bc930",
    "synthetic-zh-noisy": "437d95c0d07d0376",
    "synthetic-en": "37c8f978f265105c",
    "synthetic-zh-telephone": "0654320dcd3a5e04",
    "synthetic-en-voices": "c10b3e494c7e4ed2",
    "synthetic-zh-digits": "a9b5a04908ac5bfb",
    "synthetic-en-digits": "1477f4efa607c155",
    "general": "705bef4db59682d0",
    "general-zh-digits": "d991ed071f562511",
}


def test_an_utterance_has_the_same_bytes_in_another_process_and_another_order() -> None:
    chosen = list(utterances(DIGITS, "train", start=0, stop=4, seed=3))
    here = [hashlib.sha256(render(utterance).tobytes()).hexdigest() for utterance in reversed(chosen)]
    program = (
        "import hashlib\n"
        "from scaling.speech.synthetic.recipes import RECIPES, render, utterances\n"
        "for utterance in utterances(RECIPES['synthetic-zh-digits'], 'train', start=0, stop=4, seed=3):\n"
        "    print(hashlib.sha256(render(utterance).tobytes()).hexdigest())\n"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.split() == here[::-1]


@pytest.mark.parametrize("order", [0, 1])
def test_recipes_keep_their_published_bytes_in_any_order_of_voices(order: int) -> None:
    first = {name: list(utterances(RECIPES[name], "train", start=0, stop=12, seed=0)) for name in RECIPES}
    places = [(name, number) for name in RECIPES for number in range(12)]
    rendered = {(name, number): render(first[name][number]) for name, number in _shuffled(places, order)}
    for name in RECIPES:
        audio = b"".join(rendered[name, number].tobytes() for number in range(12))
        assert hashlib.sha256(audio).hexdigest()[:16] == PUBLISHED[name], name


def test_another_seed_changes_the_breath_of_a_breathy_voice() -> None:
    samples, sampling_rate = synthesise(BREATHY)
    again, _ = synthesise(BREATHY)
    other, _ = synthesise(replace(BREATHY, seed=8))
    assert sampling_rate == 22_050
    assert np.array_equal(samples, again)
    assert not np.array_equal(samples, other)


def test_the_telephone_band_takes_what_lies_outside_it() -> None:
    plain = Utterance(request=BREATHY, gain=1.0, noise=0.05, band_hz=None)
    heard, through_line = (_power(render(utterance)) for utterance in (plain, replace(plain, band_hz=(300, 3400))))
    frequencies = np.linspace(0, 8000, len(heard))
    outside = (frequencies < 200) | (frequencies > 4500)
    assert through_line[outside].sum() < 1e-3 * heard[outside].sum()
    inside = (frequencies > 500) & (frequencies < 3000)
    assert through_line[inside].sum() == pytest.approx(heard[inside].sum(), rel=0.1)


def test_noise_has_the_stated_level_and_gain_scales_the_speech() -> None:
    quiet = Utterance(request=BREATHY, gain=0.5, noise=0.0, band_hz=None)
    loud, noisy = render(replace(quiet, gain=1.0)).astype(float), render(replace(quiet, noise=0.04)).astype(float)
    clean = render(quiet).astype(float)
    assert np.abs(loud / 2 - clean).max() <= 1
    assert (noisy - clean).std() / 2**15 == pytest.approx(0.04, rel=0.05)


HELD_OUT = 60
"""Utterances of dev and test sets in these tests, where corpora for studies have 300: what takes longest to speak."""


@pytest.fixture(scope="module", autouse=True)
def small_held_out_sets() -> Iterator[None]:
    assert inspect.signature(write_corpus).parameters["test_utterances"].default == corpus_files.HELD_OUT_UTTERANCES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_files, "HELD_OUT_UTTERANCES", HELD_OUT)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute and a half of training digits."""
    directory = tmp_path_factory.mktemp("corpora") / "digits"
    write_corpus(DIGITS, directory, hours=0.025, seed=5, test_utterances=HELD_OUT)
    return directory


def test_manifests_describe_the_audio_files(corpus: Path) -> None:
    rows = _rows(corpus / "train.jsonl")
    assert len({row["audio_filepath"] for row in rows}) == len(rows)
    for row in rows[::20]:
        samples, sampling_rate = soundfile.read(corpus / row["audio_filepath"], dtype="int16")
        assert (sampling_rate, samples.ndim, len(samples) / 16_000) == (16_000, 1, row["duration"])
        assert set(row) == {"audio_filepath", "duration", "text", "speaker"}
        assert row["speaker"] in DIGITS.sources[0].domain.voices
    assert {path.name for path in corpus.iterdir()} == {
        "audio",
        "corpus.json",
        "train.jsonl",
        "dev.jsonl",
        "test.jsonl",
    }


def test_hours_count_training_audio_and_no_file_is_left_over(corpus: Path) -> None:
    durations = [row["duration"] for row in _rows(corpus / "train.jsonl")]
    assert sum(durations) >= 0.025 * 3600 > sum(durations[:-1])
    listed = {row["audio_filepath"] for split in ("train", "dev", "test") for row in _rows(corpus / f"{split}.jsonl")}
    assert {path.relative_to(corpus).as_posix() for path in corpus.rglob("*.wav")} == listed


def test_no_text_is_in_two_splits(corpus: Path) -> None:
    splits = {split: _rows(corpus / f"{split}.jsonl") for split in ("train", "dev", "test")}
    assert len(splits["dev"]) == len(splits["test"]) == HELD_OUT
    for split, rows in splits.items():
        assert {split_of(row["text"]) for row in rows} == {split}


def test_more_hours_only_add_utterances_and_held_out_sets_stay(corpus: Path, tmp_path: Path) -> None:
    larger = write_corpus(DIGITS, tmp_path / "larger", hours=0.03, seed=5, test_utterances=HELD_OUT)
    rows = _rows(corpus / "train.jsonl")
    assert _rows(larger.train)[: len(rows)] == rows
    assert len(_rows(larger.train)) > len(rows)
    assert larger.test.read_bytes() == (corpus / "test.jsonl").read_bytes()
    last = rows[-1]["audio_filepath"]
    assert (tmp_path / "larger" / last).read_bytes() == (corpus / last).read_bytes()


def test_a_larger_test_set_begins_with_the_smaller_one_and_nothing_else_changes(corpus: Path, tmp_path: Path) -> None:
    larger = write_corpus(DIGITS, tmp_path / "larger", hours=0.025, seed=5, test_utterances=HELD_OUT + 10)
    smaller = (corpus / "test.jsonl").read_bytes()
    assert larger.test.read_bytes().startswith(smaller)
    assert len(_rows(larger.test)) == HELD_OUT + 10
    for split in ("train", "dev"):
        assert (tmp_path / "larger" / f"{split}.jsonl").read_bytes() == (corpus / f"{split}.jsonl").read_bytes()
    with pytest.raises(InputError, match="another test_utterances"):
        write_corpus(DIGITS, tmp_path / "larger", hours=0.025, seed=5, test_utterances=HELD_OUT + 11)


def test_no_text_is_more_of_a_held_out_set_than_its_recipe_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_files, "HELD_OUT_UTTERANCES", 100)
    made = write_corpus(RECIPES["synthetic-zh-voices"], tmp_path / "corpus", hours=0.005, test_utterances=200)
    for manifest, count in ((made.dev, 100), (made.test, 200)):
        repeats = Counter(row["text"] for row in _rows(manifest))
        assert repeats.total() == count
        assert max(repeats.values()) == 0.01 * count  # without the bound the most frequent text is over a tenth
    listed = {row["audio_filepath"] for manifest in (made.train, made.dev, made.test) for row in _rows(manifest)}
    assert {path.relative_to(tmp_path / "corpus").as_posix() for path in tmp_path.rglob("*.wav")} == listed


def test_a_corpus_made_before_is_left_as_it_is_and_another_one_is_refused(corpus: Path) -> None:
    before = (corpus / "train.jsonl").stat().st_mtime_ns
    again = write_corpus(DIGITS, corpus, hours=0.025, seed=5, test_utterances=HELD_OUT)
    assert again.train == corpus / "train.jsonl"
    assert (corpus / "train.jsonl").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="another hours, seed"):
        write_corpus(DIGITS, corpus, hours=0.5, seed=6, test_utterances=HELD_OUT)


def test_a_folder_of_the_users_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="holds no synthetic corpus"):
        write_corpus(DIGITS, tmp_path / "mine", hours=0.01)
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("hours", [0, -1, float("inf"), float("nan")])
def test_hours_must_be_positive(hours: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a positive number"):
        write_corpus(DIGITS, tmp_path / "none", hours=hours)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    voiceless = replace(DIGITS.sources[0].domain, voices=("en-gb",))
    recipe = replace(DIGITS, sources=(replace(DIGITS.sources[0], domain=voiceless),))
    with pytest.raises(InputError, match="no voice 'en-gb'"):
        write_corpus(recipe, tmp_path / "broken", hours=0.01)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_synthesiser_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match=r"pip install 'asr-scaling\[synth\]'"):
        synthesise(BREATHY)


def test_the_shifted_domain_shares_no_voice_with_the_general_one() -> None:
    general = {voice for source in RECIPES["general"].sources for voice in source.domain.voices}
    studied = {name: {*RECIPES[name].sources[0].domain.voices} for name in RECIPES if name.startswith("synthetic-")}
    assert studied.pop("synthetic-zh-noisy") <= general
    for name, voices in studied.items():
        assert not general & voices, name


def test_recipes_import_neither_torch_nor_the_synthesiser() -> None:
    program = (
        "import sys, scaling.speech.synthetic.recipes; print({'torch', 'espeakng_loader', 'soxr'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_the_shares_of_a_recipe_sum_to_one() -> None:
    for recipe in RECIPES.values():
        assert sum(source.share for source in recipe.sources) == pytest.approx(1)
    assert sum(synthetic.TEXT_SHARES.values()) == 20


def _rows(manifest: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]


def _shuffled(items: list[tuple[str, int]], seed: int) -> list[tuple[str, int]]:
    return [items[number] for number in np.random.default_rng(seed).permutation(len(items))]


def _power(samples: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft(samples.astype(float))) ** 2
