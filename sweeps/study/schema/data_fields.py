"""Fields of speech: corpora of the user, a corpus that is made, and how training speech is varied."""

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, StrictBool, StrictInt, StrictStr, Tag

from scaling.speech.manifest import MAX_BAD_SHARE
from scaling.speech.synthetic.corpus_files import HELD_OUT_UTTERANCES
from sweeps.study.schema.field_types import Fields, Hours, Name, each_once, mapping_or_not


class LengthFields(Fields):
    """Assumed lengths of a corpus; see `scaling.speech.assumed_manifest`."""

    hours: Hours
    """Hours of speech."""
    mean_seconds: Annotated[float, Field(strict=True, gt=0, le=3600)]
    """Mean length of an utterance."""
    spread: Annotated[float, Field(strict=True, gt=0, le=10)]
    """Standard deviation of the logarithm of the lengths."""
    characters_per_second: Annotated[float, Field(strict=True, gt=0, le=1000)]
    """Characters of text in a second of speech."""


class AssumedFields(Fields):
    """Speech that is not at hand: enough to plan and price a study, not to run it."""

    assumed: LengthFields
    """Lengths in place of a corpus."""


SpeechSource = Annotated[
    Annotated[AssumedFields, Tag("<mapping>")] | Annotated[StrictStr, Tag("<plain>")], Discriminator(mapping_or_not)
]
"""A manifest's path, or what is assumed in its place."""


class ManifestFields(Fields):
    """Corpora of real speech, in any layout of `scaling.speech.readers`. Files of a pattern such as
    `train-*` are read in order.
    """

    root: StrictStr | None = None
    """Where relative paths of the corpora start; default: the study's folder."""
    train: SpeechSource
    """Corpus that is trained on."""
    dev: SpeechSource
    """Corpus on which choices are made, such as rates."""
    test: dict[Name, SpeechSource] = Field(min_length=1)
    """Corpora on which errors are measured, by name; the error of a run is that of all together."""
    max_bad_share: Annotated[float, Field(strict=True, ge=0, le=1)] = MAX_BAD_SHARE
    """The share of rows that may be unusable before a corpus is refused."""
    mix_channels: StrictBool = False
    """Whether a recording of several channels of which its row names none is heard as the mean of all."""


class CorpusFields(Fields):
    """A corpus that is made on first use. `seed` fixes it, whatever the seeds of the runs."""

    corpus: StrictStr
    """Commands in voices that the minis have not heard: synthetic-zh-voices and synthetic-en-voices; over a telephone
    line: synthetic-zh-telephone (and synthetic-zh, synthetic-en, where a few texts are a third of the test set); in
    voices that they know, in noise: synthetic-zh-noisy. Digits over a telephone line: synthetic-zh-digits and
    synthetic-en-digits."""
    hours: Annotated[float, Field(strict=True, gt=0, le=10_000)]
    """Hours of training speech."""
    seed: Annotated[StrictInt, Field(ge=0)] = 0
    """Draws the utterances."""
    test_utterances: Annotated[StrictInt, Field(ge=1, le=100_000)] = HELD_OUT_UTTERANCES
    """Utterances of the test set: n errors are known to about n to the power of -1/2 by counting alone."""


def _data_kind(value: Any) -> str:
    corpus = "corpus" in value if isinstance(value, dict) else isinstance(value, CorpusFields)
    return "<corpus>" if corpus else "<manifests>"


DataFields = Annotated[
    Annotated[ManifestFields, Tag("<manifests>")] | Annotated[CorpusFields, Tag("<corpus>")], Discriminator(_data_kind)
]


def _lower_end_first(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("the lower end first")
    return ends


Decibels = Annotated[float, Field(ge=-10, le=80)]
DecibelRange = Annotated[tuple[Decibels, Decibels], AfterValidator(_lower_end_first)]


class AugmentationFields(Fields):
    """How training speech is varied; see `scaling.spec.Augmentation`."""

    speeds: Annotated[
        tuple[Annotated[float, Field(strict=True, ge=0.5, le=2)], ...], Field(min_length=1), AfterValidator(each_once)
    ] = (1.0,)
    """Copies of the corpus, so many times as fast: [0.9, 1.0, 1.1] is the usual choice."""
    noise_snr_db: DecibelRange | None = None
    """White noise at a ratio drawn between these two."""
    masks: Annotated[StrictInt, Field(ge=0, le=10)] = 0
    """Bands and stretches that SpecAugment hides, of each so many; 2 is its own choice."""
