"""The files of a synthetic corpus: WAV files and manifests, made from a recipe, whole or absent.

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
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scaling.errors import InputError, nearest
from scaling.spec import SAMPLE_RATE
from scaling.speech.synthetic.recipes import RECIPES, TEXT_SHARES, Recipe, Utterance, render, utterances
from scaling.system.cache import cache_dir
from scaling.system.own_code import own_code_only
from scaling.system.progress_line import announce_if_slow

SCHEMA = 1
"""Raised when the same recipe gives other files."""

HELD_OUT_UTTERANCES = 300
"""Utterances in dev, and in test by default: about 1,500 digits, so that a CER of 0.1 is known to about 0.01."""

UTTERANCES_PER_FOLDER = 1000

BLOCK = 150
"""Utterances that a process renders at a time: under a second of work, and half of a held-out set."""

BLOCKS_IN_PARALLEL = 2
"""Assumption: the smallest machine that makes corpora has two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """The JSON-lines manifests of a corpus; `audio_filepath` in them is relative to their own folder."""

    train: Path
    dev: Path
    test: Path


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises InputError, with the nearest valid name, where there is none."""
    if name not in RECIPES:
        raise InputError(f"{name!r} is no corpus{nearest(name, RECIPES)}")
    return RECIPES[name]


def cached_corpus(recipe: Recipe, *, hours: float, seed: int, test_utterances: int) -> Manifests:
    """The corpus in this machine's cache, where it is made on first use; a changed recipe gets a folder of its own."""
    digest = hashlib.sha256(json.dumps(recipe.making, sort_keys=True).encode()).hexdigest()[:8]
    name = f"{recipe.name}-{hours:g}h-{seed}-{digest}"
    if test_utterances != HELD_OUT_UTTERANCES:
        name += f"-test{test_utterances}"
    folder = cache_dir() / "corpora" / name
    with announce_if_slow(f"making {hours:g} h of speech, the corpus {recipe.name}, in {folder}"):
        return write_corpus(recipe, folder, hours=hours, seed=seed, test_utterances=test_utterances)


def write_corpus(
    recipe: Recipe, directory: Path, *, hours: float, seed: int = 0, test_utterances: int = HELD_OUT_UTTERANCES
) -> Manifests:
    """Write PCM16 WAV files at 16 kHz and their manifests; `hours` counts training audio.

    A larger test set begins with the utterances of a smaller one, unless the recipe bounds repeats of a text.

    The folder appears complete or not at all. An existing folder that was made from the same recipe, hours and seed is
    left as it is. Raises InputError where the folder holds anything else, where hours are not positive, and where the
    synthesiser is missing.
    """
    if not 0 < hours < float("inf"):
        raise InputError(f"hours of the corpus {recipe.name}: {hours}; expected a positive number")
    making = {"schema": SCHEMA, "recipe": recipe.making, "hours": hours, "seed": seed}
    if test_utterances != HELD_OUT_UTTERANCES:
        making["test_utterances"] = test_utterances
    selections = {
        "train": _first_seconds(hours * 3600),
        "dev": _first_rows(HELD_OUT_UTTERANCES, recipe.largest_text_share),
        "test": _first_rows(test_utterances, recipe.largest_text_share),
    }
    if directory.exists():
        _check_same(making, directory)
    else:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _complete_or_absent(directory) as folder, own_code_only(), _pool() as pool:
            for split in TEXT_SHARES:
                _write_split(pool, recipe, folder, split, seed, selections[split])
            (folder / "corpus.json").write_text(json.dumps(making, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return Manifests(**{split: directory / f"{split}.jsonl" for split in TEXT_SHARES})


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

Selection = Callable[[list[Row]], list[Row] | None]
"""The rows to keep of those written so far, None where more are needed."""


def _first_seconds(seconds: float) -> Selection:
    def selection(rows: list[Row]) -> list[Row] | None:
        is_reached = np.cumsum([row["duration"] for row in rows]) >= seconds
        return rows[: int(np.argmax(is_reached)) + 1] if is_reached.any() else None

    return selection


def _first_rows(count: int, largest_text_share: float | None) -> Selection:
    most_repeats = count if largest_text_share is None else max(1, round(largest_text_share * count))

    def selection(rows: list[Row]) -> list[Row] | None:
        repeats: Counter[str] = Counter()
        kept = []
        for row in rows:
            repeats[row["text"]] += 1
            if repeats[row["text"]] <= most_repeats:
                kept.append(row)
        return kept[:count] if len(kept) >= count else None

    return selection


def _write_split(
    pool: ProcessPoolExecutor, recipe: Recipe, folder: Path, split: str, seed: int, selection: Selection
) -> None:
    """Render block after block until the selection has what it needs, remove the others, then write the manifest."""
    write_block = functools.partial(_write_block, recipe, folder, split, seed)
    rows: list[Row] = []
    while (kept := selection(rows)) is None:
        starts = range(len(rows), len(rows) + BLOCKS_IN_PARALLEL * BLOCK, BLOCK)
        rows += [row for block in pool.map(write_block, starts) for row in block]
    for path in {row["audio_filepath"] for row in rows} - {row["audio_filepath"] for row in kept}:
        (folder / path).unlink()
    for shard in (folder / "audio" / split).iterdir():
        if not any(shard.iterdir()):
            shard.rmdir()
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in kept]
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
