"""What a recogniser writes for a test set, and how wrong it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from scaling.asr import whisper as variable_whisper
from scaling.asr.data import Speech
from scaling.asr.model import Batch, Recognizer
from scaling.cer import EditCounts, cer, count_edits
from scaling.lengths import IntArray
from scaling.spec import Objective

BATCH_AUDIO_SECONDS = 60.0
"""Padded audio decoded together: greedy decoding is bound by memory traffic and gains up to 14x from batching
(measured at 64 utterances); a minute also fits Whisper-large with a 7B LLM on 80 GB (assumption)."""

MAX_TOKENS_PER_SECOND = 15.0
MAX_TOKENS_BASE = 10
"""A hypothesis may hold 10 tokens + 15 for each second of audio: twice the rate of the fastest digits of our corpora
(measured: 9 a second), so that a model that never stops is cut off and counted as inserting."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One test set: counts over all utterances and one row for each."""

    counts: list[EditCounts]
    rows: list[dict[str, Any]]

    def summary(self) -> dict[str, Any]:
        """The set's error rate and what it is made of."""
        return {
            "cer": cer(self.counts),
            "errors": sum(count.errors for count in self.counts),
            "substitutions": sum(count.substitutions for count in self.counts),
            "deletions": sum(count.deletions for count in self.counts),
            "insertions": sum(count.insertions for count in self.counts),
            "ref_chars": sum(count.ref_chars for count in self.counts),
            "n_utterances": len(self.counts),
        }


def evaluate(model: Recognizer, speech: Speech, objective: Objective, name: str, limit: int | None = None) -> Scored:
    """Greedy transcripts of `speech` and their edit counts, in the order of the manifest.

    `limit` scores only the first utterances, for a look during training. Leaves every module in eval mode.
    """
    model.eval()
    chosen = sorted(range(len(speech) if limit is None else min(limit, len(speech))), key=speech.samples.__getitem__)
    written: dict[int, str] = {}
    for indices in grouped(chosen, speech.samples):
        batch = speech.batch(indices, next(model.parameters()).device)
        limits = token_limits(speech.samples[indices])
        written |= dict(zip(indices, transcribe(model, batch, objective, limits), strict=True))
    counts, rows = [], []
    for index in sorted(written):
        utterance = speech.utterance(index)
        count = count_edits(utterance["ref"], written[index])
        counts.append(count)
        row = {"test": name, **utterance, "hyp": written[index], "errors": count.errors, "ref_chars": count.ref_chars}
        rows.append(row)
    return Scored(counts, rows)


@torch.no_grad()
def transcribe(model: Recognizer, batch: Batch, objective: Objective, limits: Sequence[int]) -> list[str]:
    """Greedy transcripts of a batch, through the LLM or through the encoder-decoder alone.

    `limits` is the largest number of tokens of each utterance. What one is given does not depend on the others.
    """
    if objective is Objective.ASR:
        codec = model.asr_codec
        ids = variable_whisper.transcribe(model.whisper, *model.encode(batch), codec.prefix, codec.end, max(limits))
        return [codec.decode(row[:limit]) for row, limit in zip(ids, limits, strict=True)]
    assert model.llm is not None
    assert model.llm_codec is not None
    prompts = model.prompts(batch)
    inputs = pad_sequence(prompts, batch_first=True, padding_side="left")
    real = pad_sequence([torch.ones(len(p), dtype=torch.long) for p in prompts], batch_first=True, padding_side="left")
    rows = model.llm.generate(
        inputs_embeds=inputs,
        attention_mask=real.to(inputs.device),
        do_sample=False,
        num_beams=1,
        max_new_tokens=max(limits),
        eos_token_id=model.llm_codec.end,
        pad_token_id=model.llm_codec.end,
    )
    return [model.llm_codec.decode(row[:limit]) for row, limit in zip(rows.tolist(), limits, strict=True)]


def token_limits(samples: IntArray) -> list[int]:
    """How many tokens a hypothesis may hold, for each utterance of so many 16 kHz samples."""
    return [MAX_TOKENS_BASE + int(MAX_TOKENS_PER_SECOND * count / 16_000) for count in samples.tolist()]


def grouped(by_length: Sequence[int], samples: IntArray) -> Iterator[list[int]]:
    """Utterances in groups to decode together. `by_length` are their indices, the shortest first."""
    group: list[int] = []
    for index in by_length:
        if group and int(samples[index]) * (len(group) + 1) > BATCH_AUDIO_SECONDS * 16_000:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


class Looks:
    """When to look at the dev set during training: so that looking takes at most a tenth of the time."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._next = 20.0  # seconds of training before the first look, whose cost is not known yet (assumption)

    def due(self, trained_seconds: float) -> bool:
        """Whether enough was trained since the last look."""
        return trained_seconds >= self._next

    def took(self, seconds: float, trained_seconds: float) -> None:
        """Record a look, and put the next one off accordingly."""
        self._spent += seconds
        self._next = max(trained_seconds + 10 * seconds, 10 * self._spent)
