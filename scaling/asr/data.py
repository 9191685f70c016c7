"""Utterances as the models read them: features and token ids, made when first asked for and kept within bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scaling.asr.features import LogMel, read_audio
from scaling.asr.model import Batch
from scaling.errors import InputError
from scaling.lengths import IntArray, Lengths, Manifest, index, read_manifest
from scaling.text import TextCodec

KEPT_FEATURE_BYTES = 1 << 30
"""Log-mel features kept in memory, per worker and manifest: a miniature corpus whole, or 9 hours of 80 bins at 100
frames a second; beyond that they are made anew each time (assumption: a worker has a GiB to spare)."""

MAX_HEADER_ERROR_SAMPLES = 160
"""How far decoded audio may differ from its header, in samples: 10 ms, what a resampler or a codec's padding does."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """One manifest, ready to be batched. `lengths` are the real ones that FLOPs are charged by."""

    manifest: Manifest
    lengths: Lengths
    _log_mel: LogMel
    _asr: TextCodec
    _llm: TextCodec
    _features: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def read(
        cls, manifest: Path, hours: float | None, encoder: Path, llm: Path, codecs: tuple[TextCodec, TextCodec]
    ) -> "Speech":
        """The manifest as read by the encoder and the LLM in these directories."""
        found = read_manifest(manifest, hours)
        return cls(found, index(found, encoder=encoder, llm=llm), LogMel.from_directory(encoder), *codecs)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def samples(self) -> IntArray:
        """Real 16 kHz samples of each utterance (N,)."""
        return self.lengths.samples

    def batch(self, indices: Sequence[int] | IntArray, device: torch.device) -> Batch:
        """The chosen utterances, features padded with zeros to the longest."""
        features = [self._mel(int(index)) for index in indices]
        texts = [self.manifest.texts[int(index)] for index in indices]
        return Batch.padded(
            features,
            device,
            asr_targets=[torch.tensor(self._asr.targets(text), device=device) for text in texts],
            llm_targets=[torch.tensor(self._llm.targets(text), device=device) for text in texts],
        )

    def utterance(self, index: int) -> dict[str, str]:
        """Who said what: `id`, `speaker`, `ref`."""
        manifest = self.manifest
        return {"id": manifest.ids[index], "speaker": manifest.speakers[index], "ref": manifest.texts[index]}

    def _mel(self, index: int) -> Tensor:
        """Features (M, T) of one utterance."""
        kept = self._features.get(index)
        if kept is not None:
            return kept
        mel = self._log_mel(self._audio(index))
        used = len(self._features) * mel.nbytes  # utterances of one manifest are of one order of length
        if used < KEPT_FEATURE_BYTES:
            self._features[index] = mel
        return mel

    def _audio(self, index: int) -> np.ndarray:
        """Samples, exactly as many as the header promised and FLOPs are charged for."""
        path, promised = self.manifest.audio[index], int(self.samples[index])
        samples = read_audio(path)
        if abs(len(samples) - promised) > MAX_HEADER_ERROR_SAMPLES:
            raise InputError(f"{path}: its header promises {promised} samples at 16 kHz, it holds {len(samples)}")
        return np.pad(samples, (0, max(0, promised - len(samples))))[:promised]
