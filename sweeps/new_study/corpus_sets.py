"""The sets of a corpus, found in its folder by the names that corpora give them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.errors import InputError
from scaling.speech.readers.formats import format_of
from scaling.speech.set_checks import WORDS
from scaling.speech.synthetic.recipes import RECIPES

BELOW = ("", "wav", "data_aishell/wav", "iOS/data", "LibriSpeech", "manifests", "data")
"""Folders inside a corpus that may hold its sets, the corpus itself first."""

PATTERNS = {"train-clean-100": "train-*", "train-clean-360": "train-*", "train-other-500": "train-*"}
"""Parts of a training set that are read together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSets:
    """Paths of a training set, a dev set, and test sets by name."""

    train: Path
    dev: Path
    test: Mapping[str, Path]


OF_FILES = "--train FILE, --dev FILE and --test NAME=FILE"
"""The options that name sets one by one."""


def is_recipe(corpus: str) -> bool:
    """Whether `corpus` names speech that is made on first use."""
    return corpus in RECIPES


def find_sets(corpus: Path) -> CorpusSets:
    """The sets in the folder `corpus`. Raises InputError where it is no folder, or a set is not found or doubtful."""
    if corpus.is_file():
        raise InputError(
            f"--corpus {corpus}: is a file; expected a folder with train, dev and test sets, or {OF_FILES}"
        )
    if not corpus.is_dir():
        raise InputError(f"--corpus {corpus}: no such folder; expected a folder with train, dev and test sets")
    wenet = corpus / "WenetSpeech.json"
    if wenet.exists():
        parts = {"net": Path(f"{wenet}#TEST_NET"), "meeting": Path(f"{wenet}#TEST_MEETING")}
        return CorpusSets(train=Path(f"{wenet}#L"), dev=Path(f"{wenet}#DEV"), test=parts)
    for folder in (corpus / below for below in BELOW):
        sets = _sets_in(folder) if folder.is_dir() else {}
        if sets.keys() >= {"train", "dev", "test"}:
            return CorpusSets(
                train=_one("train", sets["train"], corpus),
                dev=_one("dev", _plain_first(sets["dev"]), corpus),
                test={_test_name(path): path for path in sets["test"]},
            )
    names = ", ".join(sorted(path.name for path in corpus.iterdir())[:12])
    raise InputError(
        f"--corpus {corpus}: no train, dev and test sets are found by their names (it has {names}); give {OF_FILES}"
    )


def _sets_in(folder: Path) -> dict[str, list[Path]]:
    """Corpora in a folder by the set that their name says, in the order of their names."""
    by_set: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        spoken = re.findall("[a-z]+", path.name.lower())
        sets = [name for name, words in WORDS.items() if words & set(spoken)]
        if len(sets) == 1 and format_of(path.absolute()) is not None:
            together = path.with_name(PATTERNS.get(path.name, path.name))
            if together not in by_set.setdefault(sets[0], []):
                by_set[sets[0]].append(together)
    return by_set


def _plain_first(paths: Sequence[Path]) -> Sequence[Path]:
    """One set of several: that of clean speech, as LibriSpeech has it."""
    clean = [path for path in paths if "clean" in path.name]
    return clean if len(clean) == 1 else paths


def _one(name: str, paths: Sequence[Path], corpus: Path) -> Path:
    if len(paths) > 1:
        listing = ", ".join(path.name for path in paths)
        raise InputError(f"--corpus {corpus}: which is the {name} set of {listing}? Give --{name} FILE")
    return paths[0]


def _test_name(path: Path) -> str:
    """The name of a test set without the word for it: test-clean is `clean`."""
    stem = path.name.partition(".")[0]
    parts = [part for part in re.split(r"[-_ ]", stem) if part.lower() not in WORDS["test"]]
    return re.sub(r"[\s/\\]", "-", "-".join(parts)) or "test"
