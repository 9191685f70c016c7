"""A trained recogniser, ready to transcribe, and how it is read from the checkpoint of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from scaling.asr.checkpoint import load
from scaling.asr.evaluation.decode import MAX_TOKENS_PER_SECOND, group_by_length, token_limits, transcribe
from scaling.asr.execution.precision import autocast
from scaling.asr.model.encoders.family import FeatureExtractor
from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.asr.resources import Sources, WorkerResources
from scaling.errors import InputError
from scaling.ledger.checkpoints import checkpoint_of
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import Source
from scaling.spec import Objective, Precision, StageNode
from scaling.speech.audio import Clip, clip_samples, read_clip, read_header


@dataclass(frozen=True, slots=True, eq=False)
class TrainedRecognizer:
    """A recogniser in eval mode, with the objective, precision, features and `token_limits` that it decodes with."""

    model: Recognizer
    objective: Objective
    precision: Precision
    extract: FeatureExtractor
    tokens_per_second: float = MAX_TOKENS_PER_SECOND

    def transcripts(self, clips: Sequence[Clip]) -> Iterator[tuple[int, str]]:
        """(place in `clips`, text), batch by batch from short to long. Raises AudioError where a clip is unreadable."""
        lengths = np.array([clip_samples(clip, read_header(clip)) for clip in clips], dtype=np.int64)
        device = next(self.model.parameters()).device
        for indices in group_by_length(np.argsort(lengths, kind="stable").tolist(), lengths):
            features = [self.extract(read_clip(clips[index])) for index in indices]
            batch = Batch.padded(features, device)
            limits = token_limits(lengths[indices], self.tokens_per_second)
            with autocast(self.precision, device):
                texts = transcribe(self.model, batch, self.objective, limits)
            yield from zip(indices, texts, strict=True)


def read_run(ledger: Ledger, sources: dict[str, Source], key: str) -> tuple[TrainedRecognizer, StageNode]:
    """The recogniser that ends node `key`, and the node. Raises InputError where it is broken, or too large."""
    node, checkpoint = ledger.node(key), checkpoint_of(ledger, key)
    if checkpoint is None:
        raise InputError(f"{ledger.folder(key)}: the node has no checkpoint; expected a finished run with weights")
    weights = load(ledger.root, checkpoint).weights
    resources = WorkerResources(Sources(sources), best_device())
    model = resources.recognizer(node, weights).eval()
    extract = family_of(resources.directories(node)[0]).features(resources.directories(node)[0])
    result = ledger.result(key)
    tokens_per_second = (result and result.max_tokens_per_second) or MAX_TOKENS_PER_SECOND  # early results do not say
    return TrainedRecognizer(model, node.stage.objective, node.precision, extract, tokens_per_second), node


def best_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
