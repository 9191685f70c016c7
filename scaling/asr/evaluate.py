"""What a recogniser writes for a test set, and how wrong it is."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from scaling.arrays import IntArray
from scaling.asr.execution.merged_lora import merged_lora
from scaling.asr.execution.precision import autocast
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model import greedy
from scaling.asr.model.llm_decoder import LlmDecoder
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.asr.train import LOG_SECONDS, Interrupted
from scaling.cost.decoding import BATCH_AUDIO_SECONDS, FIRST_LOOK_SECONDS, LOOKS_OVER_TRAINING
from scaling.scoring.score import Score, score, total
from scaling.spec import SAMPLE_RATE, Objective, Scoring

KEYS_AND_VALUES_BYTES = 2**28
"""What keys and values of an LLM may take where more than that audio is decoded together (assumption: little beside
what training takes). A mini decodes thousands of utterances at once, one of 1B parameters no more than above."""

POSITIONS_PER_SECOND = 60
"""LLM positions a second of audio: dataset, text and prompt of utterances of half a second or more (assumption)."""

ENCODED_AUDIO_SECONDS = 60.0
"""Padded audio that an encoder hears together: its hidden states stay in a core's cache, and less of it is padding
(measured with the minis: a third less time than 240 s)."""

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
    inputs: ModelInputs,
    objective: Objective,
    name: str,
    *,
    scoring: Scoring = Scoring.PLAIN,
    limit: int | None = None,
    pieces: int = 1,
    ranks: Ranks = SINGLE_PROCESS,
    should_stop: Callable[[], bool] = greedy.never,
    on_progress: Callable[[str, int, int], None] = lambda name, done, of: None,
) -> Scored:
    """Greedy transcripts of the speech heard, the test set `name`, and their scores, in the order of the manifest.

    `limit` scores only the first utterances, for a look during training. `pieces` times less than usual is decoded
    together, where memory is scarce. Matrix products have the precision of training. Each of `ranks` writes its share,
    and all know the whole. Leaves every module in eval mode.

    `should_stop()` is asked before every token: where it is true on any rank, all raise Interrupted.
    `on_progress(name, utterances done, of so many)` is called at the beginning and then about every second.
    """
    model, dataset = inputs.model.eval(), inputs.dataset
    chosen = sorted(range(len(dataset) if limit is None else min(limit, len(dataset))), key=dataset.samples.__getitem__)
    mine = ranks.share(chosen)

    def stop() -> bool:
        """Ranks that share the LLM take every step together, or none."""
        return bool(ranks.sum(should_stop())) if ranks.shard else should_stop()

    written: dict[int, str] = {}
    told = -LOG_SECONDS
    for indices in group_by_length(mine, dataset.samples, audio_together(model, objective) / pieces):
        if time.monotonic() >= told + LOG_SECONDS:
            told = time.monotonic()
            on_progress(name, len(chosen) * len(written) // len(mine), len(chosen))
        if stop():
            break
        with autocast(inputs.precision, next(model.parameters()).device):
            batch = heard(inputs, indices, ENCODED_AUDIO_SECONDS / pieces)
            texts = model.with_gathered_weights(
                partial(transcribe, model, batch, objective, token_limits(dataset.samples[indices]), stop)
            )
        written |= dict(zip(indices, texts, strict=True))
    if ranks.sum(should_stop()):
        raise Interrupted(f"stopped while {name} was decoded")
    written = {index: text for share in ranks.all_gather(written) for index, text in share.items()}
    scores, rows = [], []
    for index in sorted(written):
        utterance = dataset.reference(index)
        scored = score(utterance["ref"], written[index], scoring)
        scores.append(scored)
        rows.append({"test": name, **utterance, "hyp": written[index], **scored.counts()})
    return Scored(scores, rows)


@torch.no_grad()
def heard(inputs: ModelInputs, indices: Sequence[int], audio_seconds: float) -> Batch:
    """The encoder's outputs for some utterances, the shortest first; so much audio is heard together."""
    outputs = []
    for stretch in group_by_length(indices, inputs.dataset.samples, audio_seconds):
        hidden_BSE, lengths_B = inputs.model.encode(inputs.batch(inputs.read(stretch)))
        outputs += [hidden_SE[:length] for hidden_SE, length in zip(hidden_BSE, lengths_B.tolist(), strict=True)]
    lengths_B = torch.tensor([len(output) for output in outputs], device=outputs[0].device)
    return Batch(outputs[0].new_empty(0), lengths_B, (), (), (pad_sequence(outputs, batch_first=True), lengths_B))


@torch.no_grad()
def transcribe(
    model: Recognizer,
    batch: Batch,
    objective: Objective,
    limits: Sequence[int],
    should_stop: Callable[[], bool] = greedy.never,
) -> list[str]:
    """Greedy transcripts of a batch, through the LLM or through the encoder-decoder alone.

    `limits` is the largest number of tokens of each utterance. What one is given does not depend on the others. The LLM
    writes no further where `should_stop()` turns true.
    """
    if objective is Objective.ASR:
        codec = model.asr_codec
        ids = model.family.decode(model.asr, codec, model.encode(batch), max(limits))
        return [codec.decode(row[:limit]) for row, limit in zip(ids, limits, strict=True)]
    assert model.llm is not None
    assert model.llm_codec is not None
    with merged_lora(model.llm):
        rows = greedy.decode(LlmDecoder(model, model.prompts(batch)), limits, model.llm_codec.end, should_stop)
    return [model.llm_codec.decode(row) for row in rows]


def audio_together(model: Recognizer, objective: Objective) -> float:
    """Seconds of padded audio that are decoded together."""
    if objective is Objective.ASR:
        return BATCH_AUDIO_SECONDS
    assert model.llm is not None
    config = model.llm.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    position_bytes: int = 2 * 4 * config.num_hidden_layers * config.num_key_value_heads * head
    return max(BATCH_AUDIO_SECONDS, KEYS_AND_VALUES_BYTES / position_bytes / POSITIONS_PER_SECOND)


def token_limits(samples: IntArray) -> list[int]:
    """How many tokens a hypothesis may hold, for each utterance of so many 16 kHz samples."""
    return [MAX_TOKENS_BASE + int(MAX_TOKENS_PER_SECOND * count / SAMPLE_RATE) for count in samples.tolist()]


def group_by_length(
    by_length: Sequence[int], samples: IntArray, audio_seconds: float = BATCH_AUDIO_SECONDS
) -> Iterator[list[int]]:
    """Examples in groups to decode together. `by_length` are their indices, the shortest first."""
    group: list[int] = []
    for index in by_length:
        if group and int(samples[index]) * (len(group) + 1) > audio_seconds * SAMPLE_RATE:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


class Looks:
    """When to look at the dev set during training: so that looking takes at most a tenth of the time."""

    def __init__(self) -> None:
        self.seconds = 0.0  # spent looking
        self._next = FIRST_LOOK_SECONDS  # of training: what a look costs is not known yet

    def due(self, trained_seconds: float) -> bool:
        """Whether enough was trained since the last look."""
        return trained_seconds >= self._next

    def took(self, seconds: float, trained_seconds: float) -> None:
        """Record a look, and put the next one off accordingly."""
        self.seconds += seconds
        spent = self.seconds + seconds  # with the next look, which costs as much
        self._next = max(trained_seconds, spent / LOOKS_OVER_TRAINING)
