"""Greedy transcripts by a recogniser: which utterances are decoded together, and how long a hypothesis may be."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from scaling.arrays import IntArray
from scaling.asr.execution.lora_while_decoding import merged_lora
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model import greedy
from scaling.asr.model.llm_decoder import LlmDecoder
from scaling.asr.model.padding import without_padding
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.cost.decoding import BATCH_AUDIO_SECONDS
from scaling.spec import SAMPLE_RATE, Objective
from scaling.speech.lengths import Lengths

KEYS_AND_VALUES_BYTES = 2**28
"""The memory that keys and values of an LLM may take where more audio than `BATCH_AUDIO_SECONDS` is decoded together
(assumption: little beside the memory of training). A mini decodes thousands of utterances at once, an LLM of 1B
parameters no more than those of `BATCH_AUDIO_SECONDS`."""

POSITIONS_PER_SECOND = 60
"""LLM positions a second of audio: speech, text and prompt of utterances of half a second or more (assumption)."""

ENCODED_AUDIO_SECONDS = 60.0
"""Padded audio that is encoded together before decoding: hidden states stay in a core's cache, and less audio is
padding (measured with the minis: a third less time than 240 s)."""

MAX_TOKENS_BASE = 10
MAX_TOKENS_PER_SECOND = 15.0
"""A hypothesis may hold 10 tokens + at most 15 for each second of audio: twice the rate of the fastest digits of our
corpora (measured: 9 a second). A model that never ends is cut off, and the surplus counts as insertions."""

FEWEST_TOKENS_PER_SECOND = 5.0
"""A hypothesis may hold at least 10 tokens + 5 for each second: fast English has 5 words a second (assumption)."""

SLACK = 1.5
"""Tokens that a hypothesis may hold over those of the densest training text: a model that hears stays below it."""

DENSEST = 0.999
"""The quantile that counts as the densest text: of a thousand rows of a large corpus one may be wrong."""


def max_tokens_per_second(training: Lengths, objective: Objective) -> float:
    """The tokens that a hypothesis may hold for each second of audio beside the first ten, from the training texts."""
    tokens = training.asr_tokens if objective is Objective.ASR else training.llm_tokens
    rates = np.maximum(tokens - MAX_TOKENS_BASE, 0) * SAMPLE_RATE / training.samples
    return float(np.clip(SLACK * np.quantile(rates, DENSEST), FEWEST_TOKENS_PER_SECOND, MAX_TOKENS_PER_SECOND))


def token_limits(samples: IntArray, tokens_per_second: float = MAX_TOKENS_PER_SECOND) -> list[int]:
    """The largest number of tokens of a hypothesis, for utterances of so many samples."""
    return [MAX_TOKENS_BASE + int(tokens_per_second * count / SAMPLE_RATE) for count in samples.tolist()]


def batch_audio_seconds(model: Recognizer, objective: Objective) -> float:
    """Seconds of padded audio that are decoded together."""
    if objective is Objective.ASR:
        return BATCH_AUDIO_SECONDS
    assert model.llm is not None
    config = model.llm.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    position_bytes: int = 2 * 4 * config.num_hidden_layers * config.num_key_value_heads * head
    return max(BATCH_AUDIO_SECONDS, KEYS_AND_VALUES_BYTES / position_bytes / POSITIONS_PER_SECOND)


def group_by_length(
    shortest_first: Sequence[int], samples: IntArray, audio_seconds: float = BATCH_AUDIO_SECONDS
) -> Iterator[list[int]]:
    """Indices of utterances in groups of up to `audio_seconds` of padded audio each."""
    group: list[int] = []
    for index in shortest_first:
        if group and int(samples[index]) * (len(group) + 1) > audio_seconds * SAMPLE_RATE:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


@torch.no_grad()
def encode_in_groups(inputs: ModelInputs, shortest_first: Sequence[int], audio_seconds: float) -> list[Tensor]:
    """The encoder's output (S, E) for each of some utterances, `audio_seconds` of which are encoded together."""
    outputs: list[Tensor] = []
    for indices in group_by_length(shortest_first, inputs.dataset.samples, audio_seconds):
        outputs += without_padding(*inputs.model.encode(inputs.batch(inputs.read(indices))))
    return outputs


def encoded_batch(outputs: Sequence[Tensor], llm_targets: Sequence[Tensor] = ()) -> Batch:
    """The batch of utterances of which the encoder's outputs (S, E) are known. Decoding needs no targets."""
    lengths_B = torch.tensor([len(output) for output in outputs], device=outputs[0].device)
    no_features = outputs[0].new_empty(0)
    return Batch(no_features, lengths_B, (), llm_targets, (pad_sequence(list(outputs), batch_first=True), lengths_B))


@torch.no_grad()
def transcribe(
    model: Recognizer,
    batch: Batch,
    objective: Objective,
    limits: Sequence[int],
    should_stop: Callable[[], bool] = greedy.never,
) -> list[str]:
    """Greedy transcripts of a batch, by the LLM or by the decoder of the encoder's own objective.

    `limits` is the largest number of tokens of each utterance. A transcript does not depend on the other utterances.
    Where `should_stop()` turns true, the LLM's transcripts end early.
    """
    if objective is Objective.ASR:
        codec = model.asr_codec
        assert codec is not None
        assert model.objective is not None
        ids = model.objective.decode(model.asr, codec, model.encode(batch), max(limits))
        return [codec.decode(row[:limit]) for row, limit in zip(ids, limits, strict=True)]
    assert model.llm is not None
    assert model.llm_codec is not None
    with merged_lora(model.llm):
        rows = greedy.decode(LlmDecoder(model, model.prompts(batch)), limits, model.llm_codec.end, should_stop)
    return [model.llm_codec.decode(row) for row in rows]
