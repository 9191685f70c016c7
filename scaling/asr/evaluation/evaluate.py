"""The transcripts of a dev or test set, and their scores."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from scaling.asr.evaluation.decode import (
    ENCODED_AUDIO_SECONDS,
    MAX_TOKENS_PER_SECOND,
    batch_audio_seconds,
    encode_in_groups,
    encoded_batch,
    group_by_length,
    token_limits,
    transcribe,
)
from scaling.asr.execution.precision import autocast
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model import greedy
from scaling.asr.train import LOG_SECONDS, Interrupted
from scaling.scoring.score import VERSIONS, Score, score, total
from scaling.spec import Objective, Scoring


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The score of each utterance of a set, its row in `utterances.jsonl`, and the version of the scoring."""

    scores: list[Score]
    rows: list[dict[str, Any]]
    scoring_version: int

    def summary(self) -> dict[str, Any]:
        """The set's error rates and the counts they are computed from."""
        counts = {"n_utterances": len(self.scores), "scoring_version": self.scoring_version}
        return {**total(self.scores).summary(), **counts}


def evaluate(
    inputs: ModelInputs,
    objective: Objective,
    name: str,
    *,
    scoring: Scoring = Scoring.PLAIN,
    tokens_per_second: float = MAX_TOKENS_PER_SECOND,
    limit: int | None = None,
    micro_batches: int = 1,
    ranks: Ranks = SINGLE_PROCESS,
    should_stop: Callable[[], bool] = greedy.never,
    on_progress: Callable[[str, int, int], None] = lambda name, done, of: None,
) -> Evaluation:
    """Greedy transcripts of the set `name` and their scores, in the order of the manifest.

    `tokens_per_second` limits hypotheses (`token_limits`), only the first `limit` utterances are evaluated. Batches are
    `micro_batches` times smaller than usual, where memory is scarce. Matrix products have the precision of training.
    Each of `ranks` decodes its share, and all return the evaluation of the set. Every module is left in eval mode.

    `should_stop()` is asked before every token; where it is true on any rank, all raise Interrupted.
    `on_progress(name, utterances done, utterances in all)` is called first and then about every second.
    """
    model, dataset = inputs.model.eval(), inputs.dataset
    chosen = sorted(range(len(dataset) if limit is None else min(limit, len(dataset))), key=dataset.samples.__getitem__)
    own_share = ranks.share(chosen)

    def stop() -> bool:
        """Where the LLM is sharded, all ranks decode a token or none does."""
        return bool(ranks.sum(should_stop())) if ranks.shard else should_stop()

    hypotheses: dict[int, str] = {}
    logged = -LOG_SECONDS
    for indices in group_by_length(own_share, dataset.samples, batch_audio_seconds(model, objective) / micro_batches):
        if time.monotonic() >= logged + LOG_SECONDS:
            logged = time.monotonic()
            on_progress(name, len(chosen) * len(hypotheses) // len(own_share), len(chosen))
        if stop():
            break
        limits = token_limits(dataset.samples[indices], tokens_per_second)
        with autocast(inputs.precision, next(model.parameters()).device):
            batch = encoded_batch(encode_in_groups(inputs, indices, ENCODED_AUDIO_SECONDS / micro_batches))
            texts = model.with_gathered_weights(partial(transcribe, model, batch, objective, limits, stop))
        hypotheses |= dict(zip(indices, texts, strict=True))
    if ranks.sum(should_stop()):
        raise Interrupted(f"stopped while {name} was decoded")
    hypotheses = {index: text for share in ranks.all_gather(hypotheses) for index, text in share.items()}
    return _scored(inputs, name, hypotheses, scoring)


def _scored(inputs: ModelInputs, name: str, hypotheses: dict[int, str], scoring: Scoring) -> Evaluation:
    scores, rows = [], []
    for index in sorted(hypotheses):
        utterance = inputs.dataset.reference(index)
        utterance_score = score(utterance["ref"], hypotheses[index], scoring)
        scores.append(utterance_score)
        rows.append({"test": name, **utterance, "hyp": hypotheses[index], **utterance_score.counts()})
    return Evaluation(scores, rows, VERSIONS[scoring])
