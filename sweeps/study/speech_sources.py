"""Where the speech of a study lies: the manifests that it names, or those of a corpus that is made on first use."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from scaling.errors import InputError, nearest
from scaling.speech.assumed_manifest import assumed_manifest
from scaling.speech.manifest import Manifest, read_manifest
from scaling.speech.synthetic.corpus_files import HELD_OUT_UTTERANCES, write_corpus
from scaling.speech.synthetic.recipes import RECIPES, Recipe
from scaling.system.cache import cache_dir
from scaling.system.progress_line import announce_if_slow
from scaling.system.yaml_file import FieldPath
from sweeps.study.schema.data_fields import AssumedFields, CorpusFields, ManifestFields
from sweeps.study.study_file import StudyFile, corpus_path

Sources = dict[FieldPath, Path | AssumedFields]
"""Path of the field in the study -> manifest, or what is assumed in its place."""


def speech_sources(file: StudyFile) -> Sources:
    """The manifests of a study. Raises InputError on corpora and files that are not there."""
    data = file.fields.data
    return _corpus(file, data) if isinstance(data, CorpusFields) else _manifests(file)


def read_source(file: StudyFile, source: Path) -> Manifest:
    """A manifest, read as the study says."""
    data = file.fields.data
    if isinstance(data, ManifestFields):
        return read_manifest(source, max_bad_share=data.max_bad_share, mix_channels=data.mix_channels)
    return read_manifest(source, max_bad_share=0.0, mix_channels=False)


def training_texts(file: StudyFile) -> Iterable[str] | None:
    """All texts of the training manifest, whatever part of it is used; None where training speech is assumed."""
    path: FieldPath = ("data", "train")
    source = speech_sources(file)[path]
    with file.at(path):
        return None if isinstance(source, AssumedFields) else read_source(file, source).texts


def assume(file: StudyFile, path: FieldPath, source: AssumedFields) -> Manifest:
    """The manifest that a study assumes in the place of one."""
    lengths = source.assumed.model_dump()
    if path == ("data", "train") and file.fields.hours is not None:
        lengths["hours"] = min(lengths["hours"], file.fields.hours)
    return assumed_manifest(**lengths, salt=str(path[1:]))


def _manifests(file: StudyFile) -> Sources:
    data = file.fields.data
    assert not isinstance(data, CorpusFields)
    named: dict[FieldPath, str | AssumedFields] = {("data", "train"): data.train, ("data", "dev"): data.dev}
    named |= {("data", "test", name): source for name, source in data.test.items()}
    return {path: _source(file, source) for path, source in named.items()}


def _source(file: StudyFile, source: str | AssumedFields) -> Path | AssumedFields:
    return source if isinstance(source, AssumedFields) else corpus_path(file, source)


def _corpus(file: StudyFile, data: CorpusFields) -> Sources:
    if data.corpus not in RECIPES:
        known = nearest(data.corpus, RECIPES)
        raise InputError(f"{file.place(('data', 'corpus'))}: {data.corpus!r} is no corpus{known}")
    recipe = RECIPES[data.corpus]
    name = f"{recipe.name}-{data.hours:g}h-{data.seed}-{_digest(recipe)}"
    if data.test_utterances != HELD_OUT_UTTERANCES:
        name += f"-test{data.test_utterances}"
    folder, making = cache_dir() / "corpora" / name, data.model_dump(exclude={"corpus"})
    with (
        file.at(("data",)),
        announce_if_slow(f"making {data.hours:g} h of speech, the corpus {recipe.name}, in {folder}"),
    ):
        made = write_corpus(recipe, folder, **making)
    return {("data", "train"): made.train, ("data", "dev"): made.dev, ("data", "test", data.corpus): made.test}


def _digest(recipe: Recipe) -> str:
    """A changed recipe gets a folder of its own."""
    return hashlib.sha256(json.dumps(recipe.making, sort_keys=True).encode()).hexdigest()[:8]
