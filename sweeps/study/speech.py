"""The speech of a study: manifests found, read and checked, or a corpus made on first use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scaling.arrays import IntArray
from scaling.cost.too_long import places_of_long_texts
from scaling.errors import InputError
from scaling.spec import Augmentation, DataSpec
from scaling.speech.assumed_manifest import assumed_manifest
from scaling.speech.manifest import TEXT_TOO_LONG, Manifest
from scaling.speech.set_checks import doubtful_sets, refuse_shared
from scaling.system.yaml_file import FieldPath
from sweeps.study.schema.data_fields import CorpusFields, LengthFields
from sweeps.study.speech_sources import DEV, TEST, TRAIN, read_source, speech_sources
from sweeps.study.study_file import StudyFile
from sweeps.study.study_model import StudyModel


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpeech:
    """What a study trains on, chooses on and tests on.

    `hours` caps the training audio. Training utterances over `max_seconds`, the most that every model of the study can
    hear at once, and those at `long_texts`, whose text is longer than one of the models can write, are left out and
    counted; these places are counted after the longer utterances are gone. Dev and test sets are never made easier in
    this way: such utterances are refused there. `doubts` say where the sets may not be what their names say.
    """

    spec: DataSpec
    hours: float | None
    max_seconds: float
    long_texts: IntArray
    train: Manifest
    dev: Manifest
    tests: tuple[tuple[str, Manifest], ...]
    doubts: tuple[str, ...] = ()

    @property
    def named(self) -> list[tuple[str, Manifest]]:
        """Every manifest under the name of its field below `data`."""
        return [("train", self.train), ("dev", self.dev), *((f"test.{name}", test) for name, test in self.tests)]

    def notes(self) -> list[str]:
        """What a user must see: doubtful sets, rows left out (by cause, with the first row), and wrong durations."""
        return [*self.doubts, *(f"data.{name}: {note}" for name, manifest in self.named for note in _notes(manifest))]


def read_speech(file: StudyFile, models: Sequence[StudyModel]) -> StudySpeech:
    """Read or make the sets. Raises InputError on missing, empty or broken ones, and on shared audio."""
    fields, at = file.fields, file.document.at
    speeds = fields.augmentation.speeds
    max_seconds = min(model.encoder.dims.max_audio_seconds for model in models) * min(1.0, *speeds)  # slower is longer
    language, sources = file.language, speech_sources(file)
    manifests: dict[FieldPath, Manifest] = {}
    long_texts = np.empty(0, np.int64)
    for path, source in sources.items():
        with at(path):
            if isinstance(source, LengthFields):
                manifests[path] = assumed_manifest(**source.model_dump(), salt=str(path[1:]))
                continue
            manifests[path] = read_source(file, source)
            if path == TRAIN:
                short_enough = manifests[path].up_to(max_seconds)
                long_texts = places_of_long_texts(models, speeds, short_enough)
                manifests[path] = short_enough.without(long_texts, TEXT_TOO_LONG).within(fields.hours)
    train, dev = manifests[TRAIN], manifests[DEV]
    tests = tuple((str(path[-1]), manifest) for path, manifest in manifests.items() if path[:2] == TEST)
    for name, test in tests:
        with at((*TEST, name)):
            refuse_shared(train, test)
    named = {".".join(map(str, path[1:])): manifest for path, manifest in manifests.items()}
    doubts = doubtful_sets(named, capped=fields.hours is not None, made=isinstance(fields.data, CorpusFields))
    return StudySpeech(
        spec=DataSpec(
            train=train.digest,
            dev=dev.digest,
            test=tuple((name, test.digest) for name, test in tests),
            prompt=fields.prompt,
            language=language,
            scoring=fields.scoring,
            augmentation=Augmentation(**fields.augmentation.model_dump()),
        ),
        hours=fields.hours,
        max_seconds=max_seconds,
        long_texts=long_texts,
        train=train,
        dev=dev,
        tests=tests,
        doubts=tuple(doubts),
    )


def _notes(manifest: Manifest) -> Iterator[str]:
    faults = manifest.bad_rows
    if faults.total:
        yield f"{faults.total} of {faults.rows} rows are left out: {faults}"
    if manifest.too_long.total:
        yield f"left out of training: {manifest.too_long}"
    if faults.wrong_durations:
        yield f"durations wrong by more than 10 ms: {faults.wrong_durations}; lengths were counted from headers instead"
    if manifest.durations_trusted and manifest.stands_for_hours is None:
        yield "durations are trusted after a check of 1,000 headers; a recording is read as long as its duration says"


def refuse_assumed(speech: StudySpeech) -> None:
    """Raise InputError where a manifest of the study is only assumed: it can be planned, not run."""
    assumed = [f"data.{field}" for field, manifest in speech.named if manifest.stands_for_hours is not None]
    if assumed:
        raise InputError(f"{', '.join(assumed)}: lengths are assumed; expected manifests, --set {assumed[0]}=FILE")
