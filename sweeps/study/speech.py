"""The speech of a study: manifests found, read and checked, or a corpus made on first use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scaling.arrays import IntArray
from scaling.errors import InputError
from scaling.spec import Augmentation, DataSpec
from scaling.speech.manifest import TEXT_TOO_LONG, Manifest
from scaling.system.yaml_file import FieldPath
from sweeps.study.schema.data_fields import AssumedFields, CorpusFields
from sweeps.study.set_checks import doubtful_sets, shared_utterances
from sweeps.study.speech_sources import assume, read_source, speech_sources
from sweeps.study.study_file import StudyFile
from sweeps.study.study_model import StudyModel
from sweeps.study.too_long import places_of_long_texts


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
        """What must not be silent: sets that are doubtful, rows left out, by cause with the first of each, and
        durations that are wrong.
        """
        return [*self.doubts, *(f"data.{name}: {note}" for name, manifest in self.named for note in _notes(manifest))]


def read_speech(file: StudyFile, models: Sequence[StudyModel]) -> StudySpeech:
    """Read the manifests that the study names, or make its corpus.

    Raises InputError on missing, empty or broken manifests, and where training and test share audio.
    """
    fields = file.fields
    speeds = fields.augmentation.speeds
    max_seconds = min(model.encoder.dims.max_audio_seconds for model in models) * min(1.0, *speeds)  # slower is longer
    sources = speech_sources(file)
    manifests: dict[FieldPath, Manifest] = {}
    long_texts = np.empty(0, np.int64)
    for path, source in sources.items():
        with file.at(path):
            if isinstance(source, AssumedFields):
                manifests[path] = assume(file, path, source)
                continue
            manifests[path] = read_source(file, source)
            if path == ("data", "train"):
                short_enough = manifests[path].up_to(max_seconds)
                long_texts = places_of_long_texts(models, speeds, short_enough)
                manifests[path] = short_enough.without(long_texts, TEXT_TOO_LONG).within(fields.hours)
    train, dev = manifests[("data", "train")], manifests[("data", "dev")]
    tests = tuple((str(path[-1]), manifest) for path, manifest in manifests.items() if path[:2] == ("data", "test"))
    for name, test in tests:
        if train.stands_for_hours is None and test.stands_for_hours is None:
            _refuse_shared(file, train, name, test)
    named = [("train", train), ("dev", dev), *((f"test.{name}", test) for name, test in tests)]
    doubts = doubtful_sets(named, capped=fields.hours is not None, made=isinstance(fields.data, CorpusFields))
    assert fields.language is not None, "with_language has found it"
    return StudySpeech(
        spec=DataSpec(
            train=train.digest,
            dev=dev.digest,
            test=tuple((name, test.digest) for name, test in tests),
            prompt=fields.prompt,
            language=fields.language,
            scoring=fields.scoring,
            augmentation=_augmentation(file),
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
        yield "durations are believed after a look at 1,000 headers; recordings are heard exactly as long as they say"


def refuse_assumed(speech: StudySpeech) -> None:
    """Raise InputError where a manifest of the study is only assumed: it can be planned, not run."""
    assumed = [f"data.{field}" for field, manifest in speech.named if manifest.stands_for_hours is not None]
    if assumed:
        raise InputError(f"{', '.join(assumed)}: lengths are assumed; expected manifests, --set {assumed[0]}=FILE")


def _augmentation(file: StudyFile) -> Augmentation:
    fields = file.fields.augmentation
    if len(set(fields.speeds)) < len(fields.speeds):
        raise file.error(("augmentation", "speeds"), list(fields.speeds), "each speed once")
    if fields.noise_snr_db is not None and fields.noise_snr_db[0] > fields.noise_snr_db[1]:
        raise file.error(("augmentation", "noise_snr_db"), list(fields.noise_snr_db), "the lower end first")
    return Augmentation(**fields.model_dump())


def _refuse_shared(file: StudyFile, train: Manifest, name: str, test: Manifest) -> None:
    """Refuse audio that is in both."""
    shared = shared_utterances(train, test)
    if shared:
        raise InputError(
            f"{file.place(('data', 'test', name))}: {len(shared)} of {len(test)} utterances are in the training data"
            f" too, the first is {test.ids[shared[0]]!r}; expected other recordings than in {train.path}"
        )
