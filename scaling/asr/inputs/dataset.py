"""Utterances as the models read them: features and target token ids, computed when first asked for and cached within
limits.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scaling.arrays import IntArray
from scaling.asr.inputs.augment import Augmenter
from scaling.asr.inputs.exact_audio import ExactAudio
from scaling.asr.model.encoders.family import FeatureExtractor
from scaling.asr.model.encoders.registry import family_of
from scaling.base_models.letters import NOTHING, Letters
from scaling.base_models.tokenizers import TextCodec
from scaling.spec import SAMPLE_RATE
from scaling.speech.lengths import Lengths, manifest_lengths
from scaling.speech.manifest import Manifest

CACHED_FEATURE_BYTES = 1 << 30
"""Features cached in memory, per worker and manifest: all of a miniature corpus, or 9 hours of 80 mel bins at 100
frames a second; beyond that they are computed again each time (assumption: a worker has a GiB to spare)."""

CACHED_TARGETS = 200_000
"""Utterances whose target ids are cached, per worker and manifest: a tenth of a GiB (assumption: a worker has it)."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Features (M, T) of some utterances, None where none were asked for, and target token ids, the end token last."""

    indices: Sequence[int]
    features: Sequence[Tensor | None]
    asr_targets: Sequence[Tensor]
    llm_targets: Sequence[Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class SpeechDataset:
    """One manifest, ready to be batched. `lengths` are those that FLOPs are charged by."""

    manifest: Manifest
    lengths: Lengths
    _extract: FeatureExtractor
    _asr: TextCodec | None
    _llm: TextCodec
    _audio: ExactAudio
    _augmenter: Augmenter | None
    _features: dict[int, Tensor] = field(default_factory=dict)
    _targets: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        audio: ExactAudio,
        encoder: Path,
        llm: Path,
        codecs: tuple[TextCodec | None, TextCodec],
        augmenter: Augmenter | None = None,
        letters: Letters | None = None,
    ) -> "SpeechDataset":
        """The recordings as these models read them, augmented by `augmenter`; a fresh head writes `letters`."""
        if augmenter is not None:
            audio = replace(audio, manifest=audio.manifest.at_speeds(augmenter.augmentation.speeds))
        manifest = audio.manifest
        family = family_of(encoder)
        asr_tokens = encoder if family.objective else letters or NOTHING
        lengths = manifest_lengths(manifest, encoder=asr_tokens, llm=llm)
        features = family.features(encoder)
        return cls(manifest, lengths, features, *codecs, audio, augmenter)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def samples(self) -> IntArray:
        """Samples of each utterance at 16 kHz (N,)."""
        return self.lengths.samples

    @property
    def varies(self) -> bool:
        """Whether the features of an utterance differ from epoch to epoch."""
        return self._augmenter is not None and self._augmenter.augmentation.varies

    def recorded_seconds(self, seen: npt.NDArray[np.bool_]) -> float:
        """Seconds of the recordings that `seen` (N,) marks at one speed or more, each recording counted once."""
        speeds = (1.0,) if self._augmenter is None else self._augmenter.augmentation.speeds
        recordings = np.asarray(seen.reshape(len(speeds), -1).any(axis=0))
        return float(self.samples[: len(recordings)][recordings].sum()) * speeds[0] / SAMPLE_RATE

    def examples(
        self, indices: Sequence[int] | IntArray, without_features: Container[int] = (), epoch: int = 0
    ) -> Examples:
        """The chosen utterances in this epoch; those in `without_features` have targets alone."""
        chosen = [int(index) for index in indices]
        targets = [self._target_ids(index) for index in chosen]
        return Examples(
            indices=chosen,
            features=[None if index in without_features else self.features(index, epoch) for index in chosen],
            asr_targets=[asr for asr, _ in targets],
            llm_targets=[llm for _, llm in targets],
        )

    def reference(self, index: int) -> dict[str, str]:
        """An utterance's `id`, `speaker`, and reference text `ref`."""
        manifest = self.manifest
        return {"id": manifest.ids[index], "speaker": manifest.speakers[index], "ref": manifest.texts[index]}

    def features(self, index: int, epoch: int = 0) -> Tensor:
        """Features (M, T) of one utterance in this epoch."""
        if self._augmenter is None or not self.varies:
            return self._unaugmented(index)
        if self._augmenter.augmentation.noise_snr_db is None:
            return self._augmenter.features(self._unaugmented(index), epoch, index)
        noisy = self._augmenter.audio(self._audio.samples(index), epoch, index)
        return self._augmenter.features(self._extract(noisy), epoch, index)

    def _target_ids(self, index: int) -> tuple[Tensor, Tensor]:
        """Target token ids of the encoder's own objective, none without one, and of the LLM."""
        cached = self._targets.get(index)
        if cached is not None:
            return cached
        text = self.manifest.texts[index]
        written = self._asr.targets(text) if self._asr else []
        targets = torch.tensor(written, dtype=torch.long), torch.tensor(self._llm.targets(text))
        if len(self._targets) < CACHED_TARGETS:
            self._targets[index] = targets
        return targets

    def _unaugmented(self, index: int) -> Tensor:
        cached = self._features.get(index)
        if cached is not None:
            return cached
        features_MT = self._extract(self._audio.samples(index))
        used = len(self._features) * features_MT.nbytes  # utterances of one manifest are of one order of length
        if used < CACHED_FEATURE_BYTES:
            self._features[index] = features_MT
        return features_MT
