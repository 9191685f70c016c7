"""The strategies compared, as constants: which parts each stage trains, on which objective, with what share.

They are presets, not any paper's baselines. Learning rates and batches are rules in the model's size, the same for
every strategy, and are resolved when a preset meets a model; a study may replace shares, rates and the batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaling.errors import InputError, nearest
from scaling.spec import Objective, Optimization, Part, Stage, Strategy

SMALL_LLM_PARAMS = 100_000_000
SMALL_BATCH_AUDIO_SECONDS = 5.0
BATCH_AUDIO_SECONDS = 160.0

ENCODER, PROJECTOR, LLM_LORA, ASR_DECODER = Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA, Part.ASR_DECODER


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetStage:
    """A stage before it meets a model: its rates are not known yet."""

    name: str
    objective: Objective
    parts: tuple[Part, ...]
    share: float | None
    flops: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A strategy before it meets a model."""

    name: str
    stages: tuple[PresetStage, ...]


def _asr(name: str, share: float) -> PresetStage:
    return PresetStage(name=name, objective=Objective.ASR, parts=(ENCODER, ASR_DECODER), share=share)


def _llm(name: str, share: float, *parts: Part) -> PresetStage:
    return PresetStage(name=name, objective=Objective.LLM, parts=parts, share=share)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="efin",
            stages=(
                _asr("encoder", 0.35),
                _llm("projector", 0.15, PROJECTOR),
                _llm("projector_lora", 0.5, PROJECTOR, LLM_LORA),
            ),
        ),
        Preset(name="joint", stages=(_llm("joint", 1.0, ENCODER, PROJECTOR, LLM_LORA),)),
        Preset(
            name="frozen_encoder",
            stages=(_llm("projector", 0.3, PROJECTOR), _llm("projector_lora", 0.7, PROJECTOR, LLM_LORA)),
        ),
        Preset(name="projector_only", stages=(_llm("projector", 1.0, PROJECTOR),)),
        Preset(
            name="projector_then_joint",
            stages=(_llm("projector", 0.15, PROJECTOR), _llm("joint", 0.85, ENCODER, PROJECTOR, LLM_LORA)),
        ),
        Preset(
            name="staged_joint",
            stages=(
                _llm("projector", 0.15, PROJECTOR),
                _llm("encoder_projector", 0.35, ENCODER, PROJECTOR),
                _llm("joint", 0.5, ENCODER, PROJECTOR, LLM_LORA),
            ),
        ),
        Preset(
            name="efin_then_joint",
            stages=(
                _asr("encoder", 0.3),
                _llm("projector", 0.1, PROJECTOR),
                _llm("projector_lora", 0.3, PROJECTOR, LLM_LORA),
                _llm("joint", 0.3, ENCODER, PROJECTOR, LLM_LORA),
            ),
        ),
        Preset(
            name="efin_no_align",
            stages=(_asr("encoder", 0.35), _llm("projector_lora", 0.65, PROJECTOR, LLM_LORA)),
        ),
    )
}
"""The eight presets. Their shares are an assumption, the same ratio wherever two of them have the same stages."""


def default_rates(objective: Objective, encoder_width: int, llm_width: int) -> dict[Part, float]:
    """Peak learning rates for AdamW by part, from the widths of the models: where a search begins, not where it ends.

    * Level: our minis, where `efin`, `joint` and `frozen_encoder` were given the same search at two budgets, chosen on
      dev (results/tuning). Every best lies within a factor of sqrt(3) of the rule; adapters of the LLM liked 0.6 to
      0.75 of it, and at four times the FLOPs rates found and rates of the rule did equally well.
    * Stage: an encoder that learns through the LLM takes half of its own stage's rate. Joint training bears less: with
      all rates at 1.7 times the rule its error is twice its best, that of `efin` a third above (results/tuning).
    * Width of the LLM: 1/width for what trains through it (Adam under mu-parametrisation, Yang et al. 2022), tried on
      widths 96 and 160 (LOG.md).
    * Width of the encoder: 1/width^2, an assumption; it joins our minis to the rates that Whisper's authors recommend
      for fine-tuning, which fall by 8 from width 384 to 1280.
    * Length: no drift of a best rate was resolved between 3e10 and 1.2e11 FLOPs. Batch: rates are not scaled with it,
      an assumption. `asr-scaling tune` measures levels, drifts and the batch on your models.
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
    """Seconds of audio in a step of every stage, from the size of the LLM: where a search begins, not where it ends.

    * Level: our minis at 3e10 and 9e10 FLOPs, rates searched as well, are best with one utterance a step (0.625 s) in
      `efin` and with 1.25 s in `joint` (results/tuning). The 5 s of the rule are for the budgets beyond. With an LLM of
      100 M parameters or more: assumption, about 32 utterances of 5 s.
    * Stage: one batch for all, an assumption. An encoder that learns through the LLM bears no batch so small: at the
      rates of the rule 0.625 s cost `joint` 32 % and 75 % more error than 2.5 s.
    * Length: what too large a batch costs falls with the budget (5 s cost `efin` 70 %, then 19 % more error than its
      best), so the best grows. The rule does not, because budgets of one batch share their trunks; what
      `asr-scaling tune` finds may.
    """
    return SMALL_BATCH_AUDIO_SECONDS if llm_params < SMALL_LLM_PARAMS else BATCH_AUDIO_SECONDS


def preset(name: str) -> Preset:
    """The preset of that name; raises InputError naming the nearest valid one."""
    if name not in PRESETS:
        raise InputError(f"strategy {name!r} is not a preset{nearest(name, PRESETS)}")
    return PRESETS[name]


def resolve(
    chosen: Preset,
    *,
    optimization: Optimization,
    encoder_width: int,
    llm_width: int,
    name: str | None = None,
    shares: Sequence[float] | None = None,
    rates: Mapping[str, float | Mapping[str, float]] | None = None,
) -> Strategy:
    """A preset as a strategy for one model.

    `shares` replaces the shares, one a stage. `rates` gives absolute peak rates: `{part: lr}` for every stage or
    `{stage name: {part: lr}}` for one. Raises InputError on unknown stages or parts and on a wrong number of shares.
    """
    where = f"strategy {name or chosen.name!r}"
    if shares is not None and len(shares) != len(chosen.stages):
        raise InputError(f"{where}: shares has {len(shares)} values, {chosen.name} has {len(chosen.stages)} stages")
    try:
        stages = tuple(
            Stage(
                name=stage.name,
                objective=stage.objective,
                trains=_rates(stage, rates or {}, default_rates(stage.objective, encoder_width, llm_width), where),
                share=stage.share if shares is None else shares[position],
                flops=stage.flops if shares is None else None,
                optimization=optimization,
            )
            for position, stage in enumerate(chosen.stages)
        )
        _check_names(rates or {}, chosen, where)
        return Strategy(name=name or chosen.name, stages=stages)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _rates(
    stage: PresetStage,
    given: Mapping[str, float | Mapping[str, float]],
    default: Mapping[Part, float],
    where: str,
) -> tuple[tuple[Part, float], ...]:
    own = given.get(stage.name, {})
    if not isinstance(own, Mapping):  # a stage named like a part ("projector"): a bare number is the part's rate
        own = {}
    rates = []
    for part in sorted(stage.parts, key=list(Part).index):
        rate = own.get(part.value, given.get(part.value))
        if isinstance(rate, Mapping) or rate is None:
            rate = default[part]
        if not 0 < rate < 1:
            raise InputError(f"{where}: stage {stage.name!r}: the rate of {part.value} must lie in (0, 1), not {rate}")
        rates.append((part, float(rate)))
    return tuple(rates)


def _check_names(rates: Mapping[str, float | Mapping[str, float]], chosen: Preset, where: str) -> None:
    parts = {part.value for stage in chosen.stages for part in stage.parts}
    stages = {stage.name: {part.value for part in stage.parts} for stage in chosen.stages}
    for name, value in rates.items():
        valid = stages if isinstance(value, Mapping) else parts
        if name not in valid:
            raise InputError(f"{where}: rates names {name!r}, which it does not train{nearest(name, valid)}")
        for part in value if isinstance(value, Mapping) else ():
            if part not in stages[name]:
                raise InputError(f"{where}: rates.{name} names {part!r}{nearest(part, stages[name])}")
