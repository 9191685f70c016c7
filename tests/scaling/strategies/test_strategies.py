"""Presets and how they meet a model."""

import pytest
from specs import OPTIMIZATION

from scaling.errors import InputError
from scaling.spec import Objective, Part
from scaling.strategies.default_rates import default_batch_audio_seconds, default_rates
from scaling.strategies.design import StrategyRequest
from scaling.strategies.presets import PRESETS, preset
from scaling.strategies.resolve import resolve


def resolved(chosen, **options):
    request = StrategyRequest(design=preset(chosen), **options)
    return resolve(request, OPTIMIZATION, encoder_width=96, llm_width=96)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_resolves_to_stages_that_spend_the_whole_budget(name):
    strategy = resolved(name)
    assert sum(stage.budget(10**12) for stage in strategy.stages) == 10**12
    assert strategy.name == name


def test_encoder_first_presets_begin_with_the_encoders_own_objective_and_no_other_does():
    first = {name: resolved(name).stages[0] for name in PRESETS}
    own = {name for name, stage in first.items() if stage.objective is Objective.ASR}
    assert own == {"efin", "efin_then_joint", "efin_no_align"}


def test_rates_fall_with_width():
    narrow, wide = default_rates(Objective.LLM, 96, 96), default_rates(Objective.LLM, 192, 192)
    assert wide[Part.PROJECTOR] == pytest.approx(narrow[Part.PROJECTOR] / 2)
    assert wide[Part.ENCODER] == pytest.approx(narrow[Part.ENCODER] / 4)


def test_a_small_llm_takes_small_batches():
    assert default_batch_audio_seconds(10**6) == 5.0
    assert default_batch_audio_seconds(5 * 10**8) == 160.0


def test_shares_and_rates_of_a_study_replace_the_presets():
    strategy = resolved(
        "efin",
        name="mine",
        shares=[0.5, 0.25, 0.25],
        rates={"encoder": 3e-3, "projector_lora": {"projector": 1e-3}},
    )
    assert [stage.share for stage in strategy.stages] == [0.5, 0.25, 0.25]
    assert dict(strategy.stages[0].trains)[Part.ENCODER] == 3e-3
    assert dict(strategy.stages[1].trains)[Part.PROJECTOR] == dict(resolved("efin").stages[1].trains)[Part.PROJECTOR]
    assert dict(strategy.stages[2].trains)[Part.PROJECTOR] == 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": [0.5, 0.5]}, "shares has 2 values, efin has 3 stages"),
        ({"shares": [0.5, 0.3, 0.3]}, "sum to 1.1"),
        ({"rates": {"llm": 1e-3}}, "'llm', which it does not train"),
        ({"rates": {"encodr": 1e-3}}, "did you mean 'encoder'"),
        ({"rates": {"projectr": {"projector": 1e-3}}}, "did you mean 'projector'"),
        ({"rates": {"encoder": {"projector": 1e-3}}}, "rates.encoder names 'projector'"),
        ({"rates": {"encoder": 5.0}}, r"must lie in \(0, 1\), not 5.0"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        resolved("efin", **options)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'efin'"):
        preset("efni")
