"""The strategies that are compared: the parts that each stage trains, its objective and its share of the budget.

They are presets of this project, not baselines of a paper. Learning rates and batches follow from the size of the model
by rules that are the same for every strategy; a study may replace shares, rates and the batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scaling.errors import InputError, nearest
from scaling.spec import Objective, Optimization, Part, Stage, Strategy

SMALL_LLM_PARAMS = 100_000_000
"""LLMs with fewer parameters count as small in `default_batch_audio_seconds`, which gives the sources."""

SMALL_BATCH_AUDIO_SECONDS = 5.0
BATCH_AUDIO_SECONDS = 160.0

ENCODER, PROJECTOR, LLM_LORA, ASR_DECODER = Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA, Part.ASR_DECODER


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDesign:
    """A stage without learning rates, which follow from a model; but for the parts that `rates` gives rates to."""

    name: str
    objective: Objective
    parts: tuple[Part, ...]
    share: float | None = None
    flops: int | None = None
    rates: Mapping[Part, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyDesign:
    """A strategy without learning rates, which follow from a model: a preset, or a user's own."""

    name: str
    stages: tuple[StageDesign, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRequest:
    """A design, and what a study changes in it.

    `shares` replaces the shares, with one number for each stage. `rates` gives absolute peak rates: `{part: rate}` for
    every stage or `{stage name: {part: rate}}` for one.
    """

    design: StrategyDesign
    name: str | None = None
    shares: Sequence[float] | None = None
    rates: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)


def _asr(name: str, share: float) -> StageDesign:
    return StageDesign(name=name, objective=Objective.ASR, parts=(ENCODER, ASR_DECODER), share=share)


def _llm(name: str, share: float, *parts: Part) -> StageDesign:
    return StageDesign(name=name, objective=Objective.LLM, parts=parts, share=share)


PRESETS = {
    preset.name: preset
    for preset in (
        StrategyDesign(
            name="efin",
            stages=(
                _asr("encoder", 0.35),
                _llm("projector", 0.15, PROJECTOR),
                _llm("projector_lora", 0.5, PROJECTOR, LLM_LORA),
            ),
        ),
        StrategyDesign(name="joint", stages=(_llm("joint", 1.0, ENCODER, PROJECTOR, LLM_LORA),)),
        StrategyDesign(
            name="frozen_encoder",
            stages=(_llm("projector", 0.3, PROJECTOR), _llm("projector_lora", 0.7, PROJECTOR, LLM_LORA)),
        ),
        StrategyDesign(name="projector_only", stages=(_llm("projector", 1.0, PROJECTOR),)),
        StrategyDesign(
            name="projector_then_joint",
            stages=(_llm("projector", 0.15, PROJECTOR), _llm("joint", 0.85, ENCODER, PROJECTOR, LLM_LORA)),
        ),
        StrategyDesign(
            name="staged_joint",
            stages=(
                _llm("projector", 0.15, PROJECTOR),
                _llm("encoder_projector", 0.35, ENCODER, PROJECTOR),
                _llm("joint", 0.5, ENCODER, PROJECTOR, LLM_LORA),
            ),
        ),
        StrategyDesign(
            name="efin_then_joint",
            stages=(
                _asr("encoder", 0.3),
                _llm("projector", 0.1, PROJECTOR),
                _llm("projector_lora", 0.3, PROJECTOR, LLM_LORA),
                _llm("joint", 0.3, ENCODER, PROJECTOR, LLM_LORA),
            ),
        ),
        StrategyDesign(
            name="efin_no_align",
            stages=(_asr("encoder", 0.35), _llm("projector_lora", 0.65, PROJECTOR, LLM_LORA)),
        ),
    )
}
"""The eight presets. Their shares are an assumption; two presets with the same stages share them in the same ratio."""


def default_rates(objective: Objective, encoder_width: int, llm_width: int) -> dict[Part, float]:
    """Peak learning rates for AdamW by part, from the widths of the models: the starting point of a search.

    * Level: measured on the minis, where `efin`, `joint` and `frozen_encoder` had the same search at two budgets, with
      the choice on dev (results/tuning). Every best rate lies within a factor of sqrt(3) of the rule. For adapters of
      the LLM 0.6 to 0.75 of the rule was best. At four times the FLOPs, the tuned rates and the rule were equally good.
    * Stage: an encoder that trains through the LLM has half the rate of its own stage. Joint training tolerates less:
      with all rates at 1.7 times the rule its error is twice the best, and that of `efin` a third above
      (results/tuning).
    * Width of the LLM: 1/width for all parts that train through it (Adam under mu-parametrisation, Yang et al. 2022),
    tried on widths 96 and 160 (LOG.md). * Width of the encoder: 1/width^2, an assumption. It connects the minis to the
    rates that Whisper's authors recommend for fine-tuning, which fall by 8 from width 384 to 1280.
    * Budget: no drift of a best rate was found between 3e10 and 1.2e11 FLOPs. Batch: rates do not depend on it, an
      assumption. `asr-scaling tune` measures levels, drifts and the batch on your models.
    """
    encoder, llm = (96 / encoder_width) ** 2, 96 / llm_width
    if objective is Objective.ASR:
        return {ENCODER: 1.2e-3 * encoder, Part.ENCODER_LORA: 2.4e-3 * encoder, ASR_DECODER: 1.2e-3 * encoder}
    return {
        ENCODER: 6e-4 * encoder,
        Part.ENCODER_LORA: 1.2e-3 * encoder,
        PROJECTOR: 3e-3 * llm,
        LLM_LORA: 3e-3 * llm,
        Part.LLM: 3e-4 * llm,
    }


def default_batch_audio_seconds(llm_params: int) -> float:
    """Seconds of audio in a step of every stage, from the size of the LLM: the starting point of a search.

    * Level: the minis at 3e10 and 9e10 FLOPs, with rates tuned too, are best with one utterance in each step (0.625 s)
    in `efin` and with 1.25 s in `joint` (results/tuning). The 5 s of the rule are for larger budgets. With an LLM of
    100 M parameters or more, about 32 utterances of 5 s: assumption. * Stage: one batch for all stages, an assumption.
    An encoder that trains through the LLM needs a larger batch: at the rates of the rule 0.625 s gave `joint` 32 % and
    75 % more error than 2.5 s.
    * Budget: the best batch grows with the budget, because the loss from too large a batch falls (5 s gave `efin` 70 %,
      then 19 % more error than its best). The rule does not grow, so that all budgets share their trunks; a batch that
      `asr-scaling tune` finds may.
    """
    return SMALL_BATCH_AUDIO_SECONDS if llm_params < SMALL_LLM_PARAMS else BATCH_AUDIO_SECONDS


def preset(name: str) -> StrategyDesign:
    """The preset of that name. Raises InputError, with the nearest valid name, where there is none."""
    if name not in PRESETS:
        raise InputError(f"strategy {name!r} is not a preset{nearest(name, PRESETS)}")
    return PRESETS[name]


def resolve(
    request: StrategyRequest,
    optimization: Optimization,
    *,
    encoder_width: int,
    llm_width: int,
    lr_scale: float = 1.0,
) -> Strategy:
    """What is requested, as a strategy for one model, all of whose rates are multiplied by `lr_scale`.

    Raises InputError on unknown stages or parts and on a wrong number of shares.
    """
    design, shares, rates = request.design, request.shares, request.rates
    name = request.name or design.name
    where = f"strategy {name!r}"
    if shares is not None and len(shares) != len(design.stages):
        raise InputError(f"{where}: shares has {len(shares)} values, {design.name} has {len(design.stages)} stages")
    try:
        stages = tuple(
            Stage(
                name=stage.name,
                objective=stage.objective,
                trains=tuple(
                    (part, rate * lr_scale) for part, rate in _rates(stage, rates, encoder_width, llm_width).items()
                ),
                share=stage.share if shares is None else shares[position],
                flops=stage.flops,
                optimization=optimization,
            )
            for position, stage in enumerate(design.stages)
        )
        _check_names(rates, design)
        return Strategy(name=name, stages=stages)
    except ValueError as error:
        raise InputError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def refuse_twin(strategy: Strategy, others: Sequence[Strategy]) -> None:
    """Raise InputError where one of the others has the strategy's name, or is the same but for the name."""
    if strategy.name in {other.name for other in others}:
        raise InputError(f"{strategy.name!r}; expected a name of its own for each strategy (`name: ...`)")
    if strategy in others:
        twin = others[others.index(strategy)].name
        raise InputError(
            f"{strategy.name!r}; expected something that {twin!r} is not: they are the same but for the name"
        )


def _rates(
    stage: StageDesign, given: Mapping[str, float | Mapping[str, float]], encoder_width: int, llm_width: int
) -> dict[Part, float]:
    """The peak rate of each part that the stage trains: as given for the stage, for the part, by the design, or by the
    rule.
    """
    default = default_rates(stage.objective, encoder_width, llm_width)
    if foreign := set(stage.parts) - default.keys():
        raise InputError(
            f"stage {stage.name!r}: the {stage.objective} loss never reaches {', '.join(sorted(foreign))};"
            f" expected some of: {', '.join(part for part in Part if part in default)}"
        )
    own = given.get(stage.name, {})
    if not isinstance(own, Mapping):  # a stage with the name of a part ("projector"): a number is the rate of the part
        own = {}
    rates = {}
    for part in sorted(stage.parts, key=list(Part).index):
        rate = own.get(part.value, given.get(part.value))
        if isinstance(rate, Mapping) or rate is None:
            rate = stage.rates.get(part, default[part])
        if not 0 < rate < 1:
            raise InputError(f"stage {stage.name!r}: the rate of {part.value} must lie in (0, 1), not {rate}")
        rates[part] = float(rate)
    return rates


def _check_names(rates: Mapping[str, float | Mapping[str, float]], design: StrategyDesign) -> None:
    parts = {part.value for stage in design.stages for part in stage.parts}
    stages = {stage.name: {part.value for part in stage.parts} for stage in design.stages}
    for name, value in rates.items():
        valid = stages if isinstance(value, Mapping) else parts
        if name not in valid:
            raise InputError(f"rates names {name!r}, which it does not train{nearest(name, valid)}")
        for part in value if isinstance(value, Mapping) else ():
            if part not in stages[name]:
                raise InputError(f"rates.{name} names {part!r}{nearest(part, stages[name])}")
