"""A strategy for one model: a design with the shares and rates that a study gives, or else those of the rules."""

from collections.abc import Mapping, Sequence

from scaling.errors import InputError, nearest
from scaling.spec import Optimization, Part, Stage, Strategy
from scaling.strategies.default_rates import default_rates
from scaling.strategies.design import StageDesign, StrategyDesign, StrategyRequest


def resolve(
    request: StrategyRequest, optimization: Optimization, *, encoder_width: int, llm_width: int, lr_scale: float = 1.0
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
    """The peak rate of each trained part: as given for the stage, for the part, by the design, or by the rule."""
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
