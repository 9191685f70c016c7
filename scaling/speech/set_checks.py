"""Whether the sets of a study are what their names say: no audio in two of them, and none in the place of another."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from scaling.arrays import IntArray
from scaling.errors import InputError
from scaling.speech.audio import Clip, clip_digest
from scaling.speech.manifest import Manifest

WORDS = {
    "train": frozenset(("train", "training", "trn")),
    "dev": frozenset(("dev", "development", "valid", "validation", "val", "cv")),
    "test": frozenset(("test", "tst", "evaluation")),
}
"""What files of the three sets are called."""


def shared_utterances(train: Manifest, test: Manifest) -> list[int]:
    """Rows of `test` whose audio is in `train` too: of the same recording, or, for equal text and length, with the same
    bytes. The same text alone is no leak: people say the same things.
    """
    return sorted({*_of_the_same_stretch(train, test), *_of_the_same_bytes(train, test)})


def refuse_shared(train: Manifest, test: Manifest) -> None:
    """Raise InputError where utterances of `test` are in `train` too; of assumed lengths nothing is known."""
    if train.stands_for_hours is not None or test.stands_for_hours is not None:
        return
    if shared := shared_utterances(train, test):
        raise InputError(
            f"{len(shared)} of {len(test)} utterances are in the training data too, the first is"
            f" {test.ids[shared[0]]!r}; expected other recordings than in {train.path}"
        )


def doubtful_sets(named: Mapping[str, Manifest], *, capped: bool, made: bool) -> list[str]:
    """What to say of the sets of a study, by the name of their field below `data`.

    Named are sets that share audio with dev, files that are called as another set is, and a training set smaller than a
    set that it is tested on, unless the study has `capped` its hours. Nothing is said of a corpus that was `made` here.
    """
    if made:
        return []
    sets = {name: manifest for name, manifest in named.items() if manifest.stands_for_hours is None}
    return [*_sharing_dev(sets), *_called_otherwise(sets), *([] if capped else _larger_than_train(sets))]


def _sharing_dev(sets: Mapping[str, Manifest]) -> Iterator[str]:
    dev = sets.get("dev")
    for name, other in sets.items():
        if dev is None or name == "dev":
            continue
        if shared := len(shared_utterances(other, dev)):
            consequence = (
                "what is chosen on dev was trained on" if name == "train" else "the test chooses what it then tests"
            )
            yield f"data.dev: {shared} of {len(dev)} utterances are in data.{name} too: {consequence}"


def _called_otherwise(sets: Mapping[str, Manifest]) -> Iterator[str]:
    for name, manifest in sets.items():
        own = name.partition(".")[0]
        spoken = set(re.findall("[a-z]+", manifest.path.name.lower()))
        others = [other for other, words in WORDS.items() if other != own and words & spoken]
        if others and not WORDS[own] & spoken:
            yield f"data.{name} is {manifest.path.name!r}, which sounds like {others[0]}: are the sets swapped?"


def _larger_than_train(sets: Mapping[str, Manifest]) -> Iterator[str]:
    train = sets.get("train")
    for name, manifest in sets.items():
        if train is not None and manifest.hours > train.hours:
            hours = f"{train.hours:.3g} h, and data.{name} has {manifest.hours:.3g} h"
            yield f"data.train has {hours}: are the sets swapped?"


def _of_the_same_stretch(train: Manifest, test: Manifest) -> Iterator[int]:
    """Rows of `test` that overlap a training utterance in the same member of the same file."""
    tested: dict[str, list[tuple[int, Clip]]] = defaultdict(list)
    for row, clip in enumerate(test.audio):
        tested[_absolute(str(clip.path))].append((row, clip))
    files = [number for number, path in enumerate(train.columns.files) if _absolute(path) in tested]
    for row in np.flatnonzero(np.isin(train.columns.file, files)).tolist():
        trained = train.audio[row]
        yield from (row for row, clip in tested[_absolute(str(trained.path))] if trained.overlaps(clip))


def _of_the_same_bytes(train: Manifest, test: Manifest) -> Iterator[int]:
    tested: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row, (text, samples) in enumerate(zip(test.texts, test.samples.tolist(), strict=True)):
        tested[text, samples].append(row)
    for row in np.flatnonzero(np.isin(_outline(train), _outline(test))).tolist():
        for other in tested.get((train.texts[row], int(train.samples[row])), ()):
            if clip_digest(train.audio[row]) == clip_digest(test.audio[other]):
                yield other


def _outline(manifest: Manifest) -> IntArray:
    """Equal where text and samples are, and cheap: most rows need no closer look."""
    return manifest.samples * (1 << 20) + manifest.texts.sizes() % (1 << 20)


def _absolute(path: str) -> str:
    """Without following links: a link to training audio is found by its content."""
    return os.path.abspath(path) if "/." in path else path  # noqa: PTH100
