"""A trained recogniser, ready to transcribe, and how it is read from the checkpoint of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from scaling.asr.checkpoint import load
from scaling.asr.evaluation.decode import group_by_length, token_limits, transcribe
from scaling.asr.execution.precision import autocast
from scaling.asr.model.encoders.family import FeatureExtractor
from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.asr.resources import Sources, WorkerResources
from scaling.ledger.ledger import Ledger
from scaling.spec import Objective, Precision, StageNode, node_from_json
from scaling.speech.audio import Clip, clip_samples, read_clip, read_header


@dataclass(frozen=True, slots=True, eq=False)
class TrainedRecognizer:
    """A recogniser in eval mode, the objective and the precision that it decodes with, and its feature extractor."""

    model: Recognizer
    objective: Objective
    precision: Precision
    extract: FeatureExtractor

    def transcripts(self, clips: Sequence[Clip]) -> Iterator[tuple[int, str]]:
        """(place in `clips`, text), batch by batch from short to long. Raises AudioError where a clip is unreadable."""
        lengths = np.array([clip_samples(clip, read_header(clip)) for clip in clips], dtype=np.int64)
        device = next(self.model.parameters()).device
        for indices in group_by_length(np.argsort(lengths, kind="stable").tolist(), lengths):
            features = [self.extract(read_clip(clips[index])) for index in indices]
            batch = Batch.padded(features, device)
            with autocast(self.precision, device):
                texts = transcribe(self.model, batch, self.objective, token_limits(lengths[indices]))
            yield from zip(indices, texts, strict=True)


def read_run(ledger: Ledger, sources: dict[str, Any], key: str) -> tuple[TrainedRecognizer, StageNode]:
    """The recogniser at the end of node `key`, and the node.

    Raises InputError where its checkpoint is broken, or the model too large for this machine.
    """
    node = node_from_json(ledger.stage(key)["node"])
    weights = load(ledger.folder(key) / (ledger.result(key) or {})["checkpoint"]).weights
    resources = WorkerResources(Sources(sources), best_device())
    model = resources.recognizer(node, weights).eval()
    extract = family_of(resources.directories(node)[0]).features(resources.directories(node)[0])
    return TrainedRecognizer(model, node.stage.objective, node.precision, extract), node


def best_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
