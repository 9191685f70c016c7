"""What a recogniser writes for a test set, and how wrong it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from scaling.asr import greedy
from scaling.asr.hearing import Hearing
from scaling.asr.llm_writer import LlmWriter
from scaling.asr.model import Batch, Recognizer
from scaling.asr.precision import products
from scaling.asr.ranks import ALONE, Ranks
from scaling.scoring.score import Score, score, total
from scaling.spec import Objective, Scoring
from scaling.strings import IntArray

BATCH_AUDIO_SECONDS = 240.0
"""Padded audio decoded together, about 64 utterances: greedy decoding is bound by memory traffic and gains most of what
batching gives by then (measured). Keys and values of a 7B LLM take 3 GB (assumption: that is to spare beside it)."""

MAX_TOKENS_PER_SECOND = 15.0
MAX_TOKENS_BASE = 10
"""A hypothesis may hold 10 tokens + 15 for each second of audio: twice the rate of the fastest digits of our corpora
(measured: 9 a second), so that a model that never stops is cut off and counted as inserting."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One test set: the score and a row of each utterance."""

    scores: list[Score]
    rows: list[dict[str, Any]]

    def summary(self) -> dict[str, Any]:
        """The set's error rates and what they are made of."""
        return {**total(self.scores).summary(), "n_utterances": len(self.scores)}


def evaluate(
    hearing: Hearing,
    objective: Objective,
    name: str,
    *,
    scoring: Scoring = Scoring.PLAIN,
    limit: int | None = None,
    pieces: int = 1,
    ranks: Ranks = ALONE,
) -> Scored:
    """Greedy transcripts of the speech heard, the test set `name`, and their scores, in the order of the manifest.

    `limit` scores only the first utterances, for a look during training. `pieces` times less than usual is decoded
    together, where memory is scarce. Matrix products have the precision of training. Each of `ranks` writes its share,
    and all know the whole. Leaves every module in eval mode.
    """
    model, speech = hearing.model.eval(), hearing.speech
    chosen = sorted(range(len(speech) if limit is None else min(limit, len(speech))), key=speech.samples.__getitem__)
    written: dict[int, str] = {}
    for indices in ranks.share(list(grouped(chosen, speech.samples, BATCH_AUDIO_SECONDS / pieces))):
        batch = hearing.batch(hearing.read(indices))
        limits = token_limits(speech.samples[indices])
        with products(hearing.precision, batch.frames_B.device):
            texts = model.holding_weights(partial(transcribe, model, batch, objective, limits))
        written |= dict(zip(indices, texts, strict=True))
    written = {index: text for share in ranks.gathered(written) for index, text in share.items()}
    scores, rows = [], []
    for index in sorted(written):
        utterance = speech.utterance(index)
        scored = score(utterance["ref"], written[index], scoring)
        scores.append(scored)
        rows.append({"test": name, **utterance, "hyp": written[index], **scored.counts()})
    return Scored(scores, rows)


@torch.no_grad()
def transcribe(model: Recognizer, batch: Batch, objective: Objective, limits: Sequence[int]) -> list[str]:
    """Greedy transcripts of a batch, through the LLM or through the encoder-decoder alone.

    `limits` is the largest number of tokens of each utterance. What one is given does not depend on the others.
    """
    if objective is Objective.ASR:
        codec = model.asr_codec
        ids = model.family.write(model.asr, codec, model.encode(batch), max(limits))
        return [codec.decode(row[:limit]) for row, limit in zip(ids, limits, strict=True)]
    assert model.llm_codec is not None
    rows = greedy.write(LlmWriter(model, model.prompts(batch)), limits, model.llm_codec.end)
    return [model.llm_codec.decode(row) for row in rows]


def token_limits(samples: IntArray) -> list[int]:
    """How many tokens a hypothesis may hold, for each utterance of so many 16 kHz samples."""
    return [MAX_TOKENS_BASE + int(MAX_TOKENS_PER_SECOND * count / 16_000) for count in samples.tolist()]


def grouped(
    by_length: Sequence[int], samples: IntArray, audio_seconds: float = BATCH_AUDIO_SECONDS
) -> Iterator[list[int]]:
    """Utterances in groups to decode together. `by_length` are their indices, the shortest first."""
    group: list[int] = []
    for index in by_length:
        if group and int(samples[index]) * (len(group) + 1) > audio_seconds * 16_000:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


class Looks:
    """When to look at the dev set during training: so that looking takes at most a tenth of the time."""

    def __init__(self) -> None:
        self.seconds = 0.0  # spent looking
        self._next = 60.0  # seconds of training before the first look, whose cost is not known yet (assumption)

    def due(self, trained_seconds: float) -> bool:
        """Whether enough was trained since the last look."""
        return trained_seconds >= self._next

    def took(self, seconds: float, trained_seconds: float) -> None:
        """Record a look, and put the next one off accordingly."""
        self.seconds += seconds
        self._next = max(trained_seconds, 9 * (self.seconds + seconds))  # the next one costs as much, and is paid for
