"""Where the speech of a study lies: the manifests that it names, or those of a corpus that is made on first use."""

from collections.abc import Iterable
from pathlib import Path

from scaling.speech.manifest import Manifest, read_manifest
from scaling.speech.synthetic.corpus_files import cached_corpus, find_recipe
from scaling.system.yaml_file import FieldPath
from sweeps.study.schema.data_fields import AssumedFields, LengthFields, ManifestFields
from sweeps.study.study_file import StudyFile

TRAIN, DEV, TEST = ("data", "train"), ("data", "dev"), ("data", "test")
"""Where a study names its sets; below `TEST` each test set has a name."""


def speech_sources(file: StudyFile) -> dict[FieldPath, Path | LengthFields]:
    """By field, its manifest, or the lengths assumed in its place. Raises InputError on a corpus that there is not."""
    data = file.fields.data
    if isinstance(data, ManifestFields):
        named: dict[FieldPath, str | AssumedFields] = {TRAIN: data.train, DEV: data.dev}
        named |= {(*TEST, name): source for name, source in data.test.items()}
        return {path: _source(file, path, source) for path, source in named.items()}
    with file.document.at(("data", "corpus")):
        recipe = find_recipe(data.corpus)
    with file.document.at(("data",)):
        made = cached_corpus(recipe, hours=data.hours, seed=data.seed, test_utterances=data.test_utterances)
    return {TRAIN: made.train, DEV: made.dev, (*TEST, data.corpus): made.test}


def read_source(file: StudyFile, source: Path) -> Manifest:
    """A manifest, read as the study says."""
    data = file.fields.data
    if isinstance(data, ManifestFields):
        return read_manifest(source, max_bad_share=data.max_bad_share, mix_channels=data.mix_channels)
    return read_manifest(source, max_bad_share=0.0, mix_channels=False)


def training_texts(file: StudyFile) -> Iterable[str] | None:
    """All texts of the training manifest, whatever part of it is used; None where training speech is assumed."""
    source = speech_sources(file)[TRAIN]
    with file.document.at(TRAIN):
        return None if isinstance(source, LengthFields) else read_source(file, source).texts


def _source(file: StudyFile, path: FieldPath, source: str | AssumedFields) -> Path | LengthFields:
    if isinstance(source, str):
        return file.corpus_path(source)
    lengths, hours = source.assumed, file.fields.hours
    if path == TRAIN and hours is not None:
        return lengths.model_copy(update={"hours": min(lengths.hours, hours)})
    return lengths
