"""Synthetic corpora: recipes of grammars, voices and telephone lines, and the writing of their files.

The general domain pretrains the miniature base models. Studies adapt to the shifted domain, other voices over a noisy
telephone line: the shift is so strong that adapting the encoder matters. Synthetic speech and a small grammar show how
the product works; they are no evidence about natural speech.

Every utterance has its own random stream, seeded by (recipe, seed, split, index), so its bytes depend on nothing else.
More hours only add utterances: the smaller corpus is a prefix of the larger one.
"""

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.synthetic.espeak import SynthesisRequest, synthesise
from scaling.speech.synthetic.grammar import (
    EN,
    EN_DIGITS,
    EN_DIGITS_FROM_ONE,
    ZH,
    ZH_DIGITS,
    ZH_DIGITS_FROM_ONE,
    Grammar,
)
from scaling.system.own_code import own_code_only

SCHEMA = 1
"""Raised when the same recipe gives other files."""

HELD_OUT_UTTERANCES = 300
"""Utterances in dev, and in test by default: about 1,500 digits, so that a CER of 0.1 is known to about 0.01."""

TEXT_SHARES = {"test": 1, "dev": 1, "train": 18}
"""Of 20 texts; no text is in two splits."""

UTTERANCES_PER_FOLDER = 1000

LANGUAGES = {"cmn": "zh", "en-us": "en"}
"""Whisper's codes of the languages of espeak's voices."""

BLOCK = 150
"""Utterances that a process renders at a time: under a second of work, and half of a held-out set."""

BLOCKS_IN_PARALLEL = 2
"""Assumption: the smallest machine that makes corpora has two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Voices and channel of a corpus. Rates in words per minute, gain and noise relative to full scale, band in Hz."""

    voices: tuple[str, ...]
    rates_wpm: tuple[int, int]
    pitches: tuple[int, int] = (20, 80)
    gains: tuple[float, float] = (0.3, 1.0)
    noise: float  # the largest standard deviation of white noise; an utterance draws its own below it
    band_hz: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A share of a corpus, with its texts and its sound."""

    share: float
    grammar: Grammar
    domain: Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that determines a corpus but hours and seed. The shares of its sources sum to one."""

    name: str
    sources: tuple[Source, ...]

    @property
    def language(self) -> str | None:
        """Whisper's code of the language that its voices speak; None where they speak several."""
        voices = {voice.partition("+")[0] for source in self.sources for voice in source.domain.voices}
        return LANGUAGES[voices.pop()] if len(voices) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """The JSON-lines manifests of a corpus; `audio_filepath` in them is relative to their own folder."""

    train: Path
    dev: Path
    test: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """All that determines the samples of an utterance."""

    request: SynthesisRequest
    gain: float
    noise: float
    band_hz: tuple[int, int] | None


def write_corpus(
    recipe: Recipe, directory: Path, *, hours: float, seed: int = 0, test_utterances: int = HELD_OUT_UTTERANCES
) -> Manifests:
    """Write PCM16 WAV files at 16 kHz and their manifests; `hours` counts training audio.

    A larger test set begins with the utterances of a smaller one.

    The folder appears complete or not at all. An existing folder that was made from the same recipe, hours and seed is
    left as it is. Raises InputError where the folder holds anything else, where hours are not positive, and where the
    synthesiser is missing.
    """
    if not 0 < hours < float("inf"):
        raise InputError(f"hours of the corpus {recipe.name}: {hours}; expected a positive number")
    making = json.loads(json.dumps({"schema": SCHEMA, "recipe": asdict(recipe), "hours": hours, "seed": seed}))
    if test_utterances != HELD_OUT_UTTERANCES:
        making["test_utterances"] = test_utterances
    stop_rules = {
        "train": _first_seconds(hours * 3600),
        "dev": _first_rows(HELD_OUT_UTTERANCES),
        "test": _first_rows(test_utterances),
    }
    if directory.exists():
        _check_same(making, directory)
    else:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _complete_or_absent(directory) as folder, own_code_only(), _pool() as pool:
            for split in TEXT_SHARES:
                _write_split(pool, recipe, folder, split, seed, stop_rules[split])
            (folder / "corpus.json").write_text(json.dumps(making, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return Manifests(**{split: directory / f"{split}.jsonl" for split in TEXT_SHARES})


def utterances(recipe: Recipe, split: str, *, start: int, stop: int, seed: int) -> Iterator[Utterance]:
    """The utterances of a split with indices from `start` to `stop - 1`."""
    shares = np.array([source.share for source in recipe.sources])
    for index in range(start, stop):
        rng = np.random.default_rng([_digest(recipe.name), seed, _digest(split), index])
        source = recipe.sources[rng.choice(len(shares), p=shares / shares.sum())]
        text = _text(source.grammar, split, rng)
        domain = source.domain
        yield Utterance(
            request=SynthesisRequest(
                text=text,
                voice=domain.voices[rng.integers(len(domain.voices))],
                rate_wpm=int(rng.integers(*domain.rates_wpm, endpoint=True)),
                pitch=int(rng.integers(*domain.pitches, endpoint=True)),
                seed=int(rng.integers(2**31)),
            ),
            gain=float(rng.uniform(*domain.gains)),
            noise=float(rng.uniform(0, domain.noise)),
            band_hz=domain.band_hz,
        )


def _text(grammar: Grammar, split: str, rng: np.random.Generator) -> str:
    while split_of(text := grammar.draw(rng)) != split:
        pass
    return text


def split_of(text: str) -> str:
    """The split that a text belongs to, by its digest: no text of dev or test is in the training speech."""
    place = _digest(text) % sum(TEXT_SHARES.values())
    for split, share in TEXT_SHARES.items():
        if place < share:
            return split
        place -= share
    raise AssertionError("the shares cover every place")


def render(utterance: Utterance) -> np.ndarray:
    """The int16 samples at 16 kHz: speech, noise of the room, then the band-pass of the telephone line."""
    import soxr

    samples, sampling_rate = synthesise(utterance.request)
    clean: np.ndarray = soxr.resample(samples.astype(np.float64) / 2**15, sampling_rate, SAMPLE_RATE)
    noise: np.ndarray = np.random.default_rng(utterance.request.seed).standard_normal(len(clean))
    signal = utterance.gain * clean + utterance.noise * noise
    if utterance.band_hz:
        signal = _band_limited(signal, utterance.band_hz)
    return np.clip(np.rint(signal * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def _band_limited(samples: np.ndarray, band_hz: tuple[int, int]) -> np.ndarray:
    from scipy.signal import sosfilt

    return np.asarray(sosfilt(_band(band_hz), samples))


@functools.cache  # the design of the filter takes longer than its use
def _band(band_hz: tuple[int, int]) -> np.ndarray:
    from scipy.signal import butter

    # Order 8 (48 dB an octave on either side) is steep like a telephone codec's filter; assumption.
    return np.asarray(butter(8, band_hz, btype="bandpass", fs=SAMPLE_RATE, output="sos"))


def _check_same(making: dict[str, Any], directory: Path) -> None:
    record = directory / "corpus.json"
    if not record.exists():
        raise InputError(f"{directory} exists and holds no synthetic corpus; name a new folder")
    try:
        existing = json.loads(record.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{record}: not JSON ({error}); remove the folder to make the corpus again") from error
    if existing != making:
        changed = [field for field in making | existing if existing.get(field) != making.get(field)]
        raise InputError(f"{directory} holds a corpus with another {', '.join(changed)}; name a new folder")


@contextlib.contextmanager
def _complete_or_absent(directory: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp lets nobody else read it
        try:
            folder.rename(directory)
        except OSError:
            if not directory.exists():  # another process may have made the same corpus meanwhile
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Row = dict[str, Any]
"""A line of a manifest."""

StopRule = Callable[[list[Row]], int | None]
"""How many of the first rows to keep, None where more are needed."""


def _first_seconds(seconds: float) -> StopRule:
    def rule(rows: list[Row]) -> int | None:
        is_reached = np.cumsum([row["duration"] for row in rows]) >= seconds
        return int(np.argmax(is_reached)) + 1 if is_reached.any() else None

    return rule


def _first_rows(count: int) -> StopRule:
    return lambda rows: count if len(rows) >= count else None


def _write_split(
    pool: ProcessPoolExecutor, recipe: Recipe, folder: Path, split: str, seed: int, rows_to_keep: StopRule
) -> None:
    """Render block after block until `rows_to_keep` gives a number, then write the manifest."""
    write_block = functools.partial(_write_block, recipe, folder, split, seed)
    rows: list[Row] = []
    while (count := rows_to_keep(rows)) is None:
        starts = range(len(rows), len(rows) + BLOCKS_IN_PARALLEL * BLOCK, BLOCK)
        rows += [row for block in pool.map(write_block, starts) for row in block]
    for surplus in rows[count:]:
        (folder / surplus["audio_filepath"]).unlink()
    for shard in (folder / "audio" / split).iterdir():
        if not any(shard.iterdir()):
            shard.rmdir()
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows[:count]]
    (folder / f"{split}.jsonl").write_text("".join(lines), "utf-8")


def _write_block(recipe: Recipe, folder: Path, split: str, seed: int, start: int) -> list[Row]:
    drawn = utterances(recipe, split, start=start, stop=start + BLOCK, seed=seed)
    return [_write_utterance(utterance, folder, split, start + number) for number, utterance in enumerate(drawn)]


def _write_utterance(utterance: Utterance, folder: Path, split: str, index: int) -> Row:
    path = Path("audio", split, f"{index // UTTERANCES_PER_FOLDER:03d}", f"{index:06d}.wav")
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    samples = render(utterance)
    with wave.open(str(folder / path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, len(samples), "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2").tobytes())
    return {
        "audio_filepath": path.as_posix(),
        "duration": len(samples) / SAMPLE_RATE,
        "text": utterance.request.text,
        "speaker": utterance.request.voice,
    }


def _pool() -> ProcessPoolExecutor:
    """New processes, because the synthesiser is global state of a process, which threads must not share.

    A script that writes a corpus needs a `__main__` guard, as for every spawned process; otherwise it gets an error.
    """
    processes = min(BLOCKS_IN_PARALLEL, os.cpu_count() or 1)
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


# Voices, rates, pitches, gains, noise and band: the miniature measured in LOG.md. English is slower because a word is
# several characters, and an encoder frame (40 ms) can end at most one.
GENERAL_ZH = Domain(voices=tuple(f"cmn+m{n}" for n in (1, 2, 3, 4)), rates_wpm=(260, 420), noise=0.02)
GENERAL_EN = replace(GENERAL_ZH, voices=tuple(f"en-us+m{n}" for n in (1, 2, 3, 4)), rates_wpm=(120, 200))
SHIFTED_VARIANTS = ("f1", "f2", "f3", "f4", "f5", "klatt3", "m7")
SHIFTED_ZH = replace(
    GENERAL_ZH, voices=tuple(f"cmn+{variant}" for variant in SHIFTED_VARIANTS), noise=0.04, band_hz=(300, 3400)
)
SHIFTED_EN = replace(
    GENERAL_EN, voices=tuple(f"en-us+{variant}" for variant in SHIFTED_VARIANTS), noise=0.04, band_hz=(300, 3400)
)
NOISY_ZH = replace(GENERAL_ZH, noise=0.06)
VOICES_ZH = replace(SHIFTED_ZH, band_hz=None)
VOICES_EN = replace(SHIFTED_EN, band_hz=None)
"""Weaker shifts, for studies of how much the shift decides. On commands in Mandarin, the shipped encoder mini-s as it
was pretrained makes .02 errors a character in its own domain, .10 in this noise, .20 with these voices, and 1.0 with
them over the telephone line."""


def _alone(grammar: Grammar, domain: Domain) -> tuple[Source, ...]:
    return (Source(share=1.0, grammar=grammar, domain=domain),)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="synthetic-zh", sources=_alone(ZH, SHIFTED_ZH)),
        Recipe(name="synthetic-zh-voices", sources=_alone(ZH, VOICES_ZH)),
        Recipe(name="synthetic-zh-noisy", sources=_alone(ZH, NOISY_ZH)),
        Recipe(name="synthetic-en", sources=_alone(EN, SHIFTED_EN)),
        Recipe(name="synthetic-en-voices", sources=_alone(EN, VOICES_EN)),
        Recipe(name="synthetic-zh-digits", sources=_alone(ZH_DIGITS, SHIFTED_ZH)),
        Recipe(name="synthetic-en-digits", sources=_alone(EN_DIGITS, SHIFTED_EN)),
        Recipe(  # half digits, because they are the cheapest task to learn; the rest keeps the bases general
            name="general",
            sources=(
                Source(share=0.5, grammar=ZH_DIGITS_FROM_ONE, domain=GENERAL_ZH),
                Source(share=0.3, grammar=ZH, domain=GENERAL_ZH),
                Source(share=0.1, grammar=EN_DIGITS_FROM_ONE, domain=GENERAL_EN),
                Source(share=0.1, grammar=EN, domain=GENERAL_EN),
            ),
        ),
        Recipe(name="general-zh-digits", sources=_alone(ZH_DIGITS_FROM_ONE, GENERAL_ZH)),
    )
}
