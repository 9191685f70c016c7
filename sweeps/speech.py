"""The speech of a study: manifests found, read and checked, or a corpus made on first use."""

import dataclasses
import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scaling.cache import cache_dir, file_digest
from scaling.corpora.synthetic import RECIPES, Recipe, write_corpus
from scaling.errors import InputError, nearest
from scaling.lengths import Manifest, read_manifest
from scaling.spec import DataSpec
from sweeps.fields import CorpusFields
from sweeps.study_file import StudyFile
from sweeps.yaml12 import FieldPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What a study trains on, chooses on and tests on. `hours` caps the training audio."""

    spec: DataSpec
    hours: float | None
    train: Manifest
    dev: Manifest
    tests: tuple[tuple[str, Manifest], ...]


def find_speech(file: StudyFile) -> Speech:
    """Read the manifests that the study names, or make its corpus.

    Raises InputError on missing, empty or broken manifests, on a wrong prompt, and where training and test share audio.
    """
    fields = file.fields
    if fields.prompt.count("{speech}") != 1:
        raise file.error(("prompt",), fields.prompt, "text with {speech} once, where the speech goes")
    paths = _corpus(file, fields.data) if isinstance(fields.data, CorpusFields) else _manifests(file)
    read = {path: file.located(path, partial(read_manifest, paths[path], _cap(file, path))) for path in paths}
    train, dev = read[("data", "train")], read[("data", "dev")]
    tests = tuple((str(path[-1]), manifest) for path, manifest in read.items() if path[:2] == ("data", "test"))
    for name, test in tests:
        _refuse_shared(file, train, name, test)
    return Speech(
        spec=DataSpec(
            train=train.digest,
            dev=dev.digest,
            test=tuple((name, test.digest) for name, test in tests),
            prompt=fields.prompt,
            language=fields.language,
            scoring=fields.scoring,
        ),
        hours=fields.hours,
        train=train,
        dev=dev,
        tests=tests,
    )


Paths = dict[FieldPath, Path]
"""Path of the field in the study -> manifest."""


def _cap(file: StudyFile, path: FieldPath) -> float | None:
    return file.fields.hours if path == ("data", "train") else None


def _manifests(file: StudyFile) -> Paths:
    data = file.fields.data
    assert not isinstance(data, CorpusFields)
    named: dict[FieldPath, str] = {("data", "train"): data.train, ("data", "dev"): data.dev}
    named |= {("data", "test", name): path for name, path in data.test.items()}
    paths = {path: file.base / Path(text).expanduser() for path, text in named.items()}
    for path, manifest in paths.items():
        if not manifest.is_file():
            raise file.error(path, named[path], f"a manifest; there is no file {manifest}")
    return paths


def _corpus(file: StudyFile, data: CorpusFields) -> Paths:
    if data.corpus not in RECIPES:
        known = nearest(data.corpus, RECIPES)
        raise InputError(f"{file.place(('data', 'corpus'))}: {data.corpus!r} is no corpus{known}")
    recipe = RECIPES[data.corpus]
    folder = cache_dir() / "corpora" / f"{recipe.name}-{data.hours:g}h-{data.seed}-{_digest(recipe)}"
    made = file.located(("data",), lambda: write_corpus(recipe, folder, hours=data.hours, seed=data.seed))
    return {("data", "train"): made.train, ("data", "dev"): made.dev, ("data", "test", data.corpus): made.test}


def _digest(recipe: Recipe) -> str:
    """A changed recipe gets a folder of its own."""
    return hashlib.sha256(json.dumps(dataclasses.asdict(recipe), sort_keys=True).encode()).hexdigest()[:8]


def _refuse_shared(file: StudyFile, train: Manifest, name: str, test: Manifest) -> None:
    """Refuse audio that is in both: the same file, or, for equal text and length, the same bytes.

    The same text alone is no leak: people say the same things.
    """
    trained = {_absolute(audio) for audio in train.audio}
    alike: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for audio, text, samples in zip(train.audio, train.texts, train.samples.tolist(), strict=True):
        alike[text, samples].append(audio)
    shared = [
        identity
        for identity, audio, text, samples in zip(test.ids, test.audio, test.texts, test.samples.tolist(), strict=True)
        if _absolute(audio) in trained or _among(audio, alike.get((text, samples), []))
    ]
    if shared:
        raise InputError(
            f"{file.place(('data', 'test', name))}: {len(shared)} of {len(test)} utterances are in the training data"
            f" too, the first is {shared[0]!r}; expected other recordings than in {train.path}"
        )


def _absolute(audio: Path) -> str:
    """Without following links: a link to training audio is found by its content."""
    return os.path.abspath(audio)  # noqa: PTH100


def _among(audio: Path, others: list[Path]) -> bool:
    return any(file_digest(audio) == file_digest(other) for other in others)
