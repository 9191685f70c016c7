from dataclasses import replace

import numpy as np
import pytest

from scaling.base_models.lookup import find_encoder, find_llm
from scaling.cost.decoding import decoding_flops, look_seconds
from scaling.cost.flops import generation
from scaling.cost.model_shape import ModelShape, default_shape
from scaling.spec import Objective
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
        generation(model_shape(), objective, heard, longest).values()
    )


def test_utterances_of_like_length_are_decoded_together() -> None:
    mixed = lengths([*[2.0] * 60, *[20.0] * 12, *[2.0] * 60], [*[4] * 60, *[40] * 12, *[4] * 60])  # 240 s of each
    short, long = (mixed[np.flatnonzero(mixed.llm_tokens == tokens)] for tokens in (4, 40))
    assert decoding_flops(model_shape(), Objective.LLM, mixed) == sum(
        sum(generation(model_shape(), Objective.LLM, batch, tokens).values())
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
