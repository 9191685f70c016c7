import itertools
from dataclasses import replace

import numpy as np
import pytest
from flop_reference import Trains

from scaling.base_models.lookup import find_encoder, find_llm
from scaling.cost.decoding import decoding_flops, generation_flops
from scaling.cost.evaluation_pacing import (
    HEARING_OVER_TRAINING,
    HEARING_SPACING,
    hearing_flops,
    look_seconds,
    next_hearing_look,
)
from scaling.cost.flops import executed
from scaling.cost.model_shape import ModelShape, default_shape
from scaling.spec import Objective, Part
from scaling.speech.lengths import Lengths


def model_shape(encoder: str = "whisper-tiny") -> ModelShape:
    return default_shape(find_encoder(encoder).dims, find_llm("Qwen2.5-0.5B").dims)


def lengths(seconds: list[float], llm_tokens: list[int]) -> Lengths:
    tokens = np.array(llm_tokens)
    return Lengths(samples=np.array([round(16_000 * s) for s in seconds]), asr_tokens=tokens + 3, llm_tokens=tokens)


@pytest.mark.parametrize(("objective", "longest"), [(Objective.LLM, 9), (Objective.ASR, 12)])
def test_a_small_set_is_one_padded_batch_and_its_longest_text(objective: Objective, longest: int) -> None:
    heard = lengths([2.0, 4.0, 3.0], [5, 7, 9])
    assert decoding_flops(model_shape(), objective, heard) == sum(
        generation_flops(model_shape(), objective, heard, longest).values()
    )


def test_utterances_of_like_length_are_decoded_together() -> None:
    mixed = lengths([*[2.0] * 60, *[20.0] * 12, *[2.0] * 60], [*[4] * 60, *[40] * 12, *[4] * 60])  # 240 s of each
    short, long = (mixed[np.flatnonzero(mixed.llm_tokens == tokens)] for tokens in (4, 40))
    assert decoding_flops(model_shape(), Objective.LLM, mixed) == sum(
        sum(generation_flops(model_shape(), Objective.LLM, batch, tokens).values())
        for batch, tokens in ((short, 4), (long, 40))
    )


def test_a_large_set_is_priced_by_a_sample_within_two_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    seconds = np.minimum(rng.lognormal(1.6, 0.6, 10_000), 30.0)
    heard = lengths(seconds.tolist(), (3 * seconds + 1).astype(int).tolist())
    sampled = decoding_flops(model_shape(), Objective.LLM, heard)
    monkeypatch.setattr("scaling.cost.decoding.SAMPLED_BATCHES", 10**6)
    assert sampled == pytest.approx(decoding_flops(model_shape(), Objective.LLM, heard), rel=0.02)


def test_ctc_writes_at_the_price_of_its_encoder_and_head() -> None:
    heard = lengths([2.0, 4.0, 3.0], [5, 7, 9])
    many = replace(heard, asr_tokens=10 * heard.asr_tokens)
    ctc = model_shape("wav2vec2-base")
    assert decoding_flops(ctc, Objective.ASR, heard) == decoding_flops(ctc, Objective.ASR, many) > 0


def test_looks_take_a_tenth_of_the_time_once_there_is_one() -> None:
    assert look_seconds(59.0) == 0.0
    assert look_seconds(900.0) / (900.0 + look_seconds(900.0)) == pytest.approx(0.1)


def test_hearing_costs_one_encoding_and_two_readings() -> None:
    heard, shape = lengths([2.0, 4.0], [5, 9]), model_shape()
    parts = executed(shape, Trains(Objective.LLM, frozenset()), heard[np.array([0])])
    parts_of_both = [parts, executed(shape, Trains(Objective.LLM, frozenset()), heard[np.array([1])])]
    expected = sum(
        cost.total * (1 if part is Part.ENCODER else 2) for each in parts_of_both for part, cost in each.items()
    )
    assert hearing_flops(shape, heard) == expected


@pytest.mark.parametrize("until", [10**3, 10**4, 10**6, 10**9])
def test_hearing_takes_its_share_at_most_and_its_onset_is_known_within_a_fifth(until: int) -> None:
    flops, positions = 10, [0.0]
    while (position := next_hearing_look(flops, positions[-1])) <= until:
        positions.append(position)
    assert flops * (len(positions) - 1) <= HEARING_OVER_TRAINING * until
    later = positions[7:]
    assert all(1 < after / before <= HEARING_SPACING + 1e-9 for before, after in itertools.pairwise(later))


def test_looks_lie_at_the_same_positions_wherever_one_asks_from() -> None:
    grid = [next_hearing_look(10, flops) for flops in range(3000)]
    assert all(next_hearing_look(10, position - 1) == position for position in set(grid))
