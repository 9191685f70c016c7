"""A finished search as a JSON document, as text, and as a study file with the tuned settings."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from scaling.errors import InputError
from scaling.scoring.interval import LEVEL
from scaling.strategies.tuned_settings import BATCH, TunedSettings
from scaling.system.atomic_files import write_text_atomically
from scaling.system.console import JOIN
from scaling.system.text_table import text_table
from scaling.system.yaml_file import parse_yaml, to_yaml
from sweeps.study.study_model import StudyModel
from sweeps.tuning.grid import (
    INITIAL_POWERS,
    RATE_STEP,
    GridPoint,
    Hyperparameter,
    best_point,
    initial_points,
    multipliers,
)
from sweeps.tuning.optimum_fit import FALSE_DRIFT
from sweeps.tuning.search_state import SearchState
from sweeps.tuning.tune import StrategyTuning, TuningResult

SCHEMA = "asr-scaling/tuning-1"


def tuning_document(result: TuningResult) -> dict[str, object]:
    """What `tune --json` prints: peak rates, batches in seconds of audio, multipliers of the untuned settings."""
    return {
        "schema": SCHEMA,
        "study": result.study.name,
        "chosen_on": "dev",
        "budgets_flops": list(result.study.budgets_flops),
        "seeds": list(result.study.seeds),
        "points": result.points,
        "charged_flops": result.charged_flops,
        "spent_flops": result.spent_flops,
        "level": LEVEL,
        "false_drift": FALSE_DRIFT,
        "found": [_strategy_document(tuning) for tuning in result.strategies],
        "untuned": [_untuned_document(model, states) for model, states in _compared(result)],
    }


def tuning_text(result: TuningResult) -> str:
    """A finished search for people."""
    budgets = ", ".join(f"{flops:.3g}" for flops in result.study.budgets_flops)
    lines = [
        f"{result.points} settings a strategy at each of {budgets} FLOPs, seeds"
        f" {', '.join(map(str, result.study.seeds))}, chosen on dev: {result.charged_flops:.3e} FLOPs charged,"
        f" {result.spent_flops:.3e} spent",
        "",
        _found_table(result.strategies),
        "  best: times what the study has without tuning; drift: the power of the budget that the best grows by",
    ]
    for tuning in result.strategies:
        spec, tuned = tuning.model.spec, tuning.tuned
        if tuned.batch_audio_seconds is not None:
            batches = f"batches of {tuned.batch_audio_seconds:.3g} s at {tuned.at_flops:.3g} FLOPs"
            lines.append(f"  {tuning.strategy.name} ({spec.encoder_name} + {spec.llm_name}): {batches}")
    for model, states in _compared(result):
        lines += ["", *_untuned_lines(model, states)]
    return "\n".join(lines)


def _found_table(strategies: Sequence[StrategyTuning]) -> str:
    rows = []
    for tuning in strategies:
        spec = tuning.model.spec
        for kind, best in tuning.estimates.items():
            edge = ", at the edge of the grid" * (kind in tuning.at_edge)
            rows.append(
                [
                    tuning.strategy.name,
                    f"{spec.encoder_name}{JOIN}+ {spec.llm_name}",
                    str(kind),
                    f"{best.multiplier:.3g} {_interval(best.interval)}{edge}",
                    f"{best.drift:.2g} {_interval(best.drift_interval)}",
                ]
            )
    return text_table(["strategy", "encoder + LLM", "tuned", "best, 90% interval", "drift, 90% interval"], rows)


def write_tuned_study(result: TuningResult, path: Path) -> None:
    """Write the study with the tuned settings as a study file. A comment in it says how they were found."""
    study = parse_yaml(result.study.text, result.study.name).value
    for position, model in enumerate(result.study.models):
        tunings = [tuning for tuning in result.strategies if tuning.model is model]
        study["models"][position]["tuned"] = {tuning.strategy.name: _tuned_fields(tuning.tuned) for tuning in tunings}
    budgets = " and ".join(f"{flops:.3g}" for flops in result.study.budgets_flops)
    with_batch = Hyperparameter.BATCH in result.strategies[0].estimates
    comment = (
        f"# Peak {'rates and batches' if with_batch else 'rates'} found by `asr-scaling tune` on dev: {result.points}"
        f" settings a strategy at {budgets} FLOPs, seeds {', '.join(map(str, result.study.seeds))}.\n"
    )
    write_text_atomically(path, comment + to_yaml(study))


def refuse_missing_folder(path: Path) -> None:
    """Raise InputError where the folder of `path` does not exist: to be called before the search, not after it."""
    if not path.parent.is_dir():
        raise InputError(f"--write {path}: there is no folder {path.parent}")


def write_document(document: dict[str, object], path: Path) -> None:
    """Write the document to a file."""
    write_text_atomically(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _strategy_document(tuning: StrategyTuning) -> dict[str, object]:
    return {
        "strategy": tuning.strategy.name,
        "encoder": tuning.model.spec.encoder_name,
        "llm": tuning.model.spec.llm_name,
        "charged_flops": tuning.charged_flops,
        "at_edge": [kind.value for kind in tuning.at_edge],
        "knobs": {kind.value: asdict(best) for kind, best in tuning.estimates.items()},
        **_tuned_fields(tuning.tuned),
        "walks": [_search_document(state) for state in tuning.states],
    }


def _tuned_fields(tuned: TunedSettings) -> dict[str, object]:
    """The settings as `sweeps.study.schema.TunedFields` reads them."""
    return {
        "rates": {stage: {part.value: rate for part, rate in rates.items()} for stage, rates in tuned.rates.items()},
        **({} if tuned.batch_audio_seconds is None else {BATCH: tuned.batch_audio_seconds}),
        "at_flops": float(f"{tuned.at_flops:.4g}"),
        **({} if tuned.searched_flops is None else {"searched_flops": list(tuned.searched_flops)}),
        "drift": {str(name): float(f"{power:.3g}") for name, power in tuned.drift.items()},
        "tuning_flops": tuned.tuning_flops,
        "at_edge": [str(kind) for kind in tuned.at_edge],
    }


def _search_document(state: SearchState) -> dict[str, object]:
    return {
        "budget_flops": state.budget_flops,
        "best": _trial(state, best_point(state.dev_errors)),
        "trials": [_trial(state, point) for point in state.dev_errors],
    }


def _trial(state: SearchState, point: GridPoint) -> dict[str, object]:
    factors = {kind.value: round(factor, 4) for kind, factor in multipliers(state.hyperparameters, point).items()}
    return {"multipliers": factors, "dev_cer": _finite(state.dev_errors[point])}


def _untuned_document(model: StudyModel, states: Sequence[SearchState]) -> dict[str, object]:
    """The errors of all strategies on a model at one budget: at the same multiplier of all rates, and at their best.

    The entries of `common` are what a comparison at the same setting for every strategy would have seen.
    """
    return {
        "encoder": model.spec.encoder_name,
        "llm": model.spec.llm_name,
        "budget_flops": states[0].budget_flops,
        "common": [{"multiplier": multiplier, "dev_cer": errors} for multiplier, errors in _common_errors(states)],
        "best": {state.strategy.name: _finite(min(state.dev_errors.values())) for state in states},
    }


def _untuned_lines(model: StudyModel, states: Sequence[SearchState]) -> list[str]:
    """The content of `_untuned_document` as a table."""
    best = [_error(_finite(min(state.dev_errors.values()))) for state in states]
    rows = [[f"all x {factor:.3g}", *map(_error, errors.values())] for factor, errors in _common_errors(states)]
    return [
        f"dev CER at {states[0].budget_flops:.3g} FLOPs on {model.spec.encoder_name} + {model.spec.llm_name}, the same"
        " setting for every strategy, and each one's best",
        text_table(["rates", *(state.strategy.name for state in states)], [*rows, ["best", *best]]),
    ]


def _compared(result: TuningResult) -> Iterator[tuple[StudyModel, list[SearchState]]]:
    """For each model and budget the searches of all strategies."""
    for model in result.study.models:
        for budget in result.study.budgets_flops:
            tunings = [tuning for tuning in result.strategies if tuning.model is model]
            yield model, [state for tuning in tunings for state in tuning.states if state.budget_flops == budget]


def _common_errors(states: Sequence[SearchState]) -> Iterator[tuple[float, dict[str, float | None]]]:
    """For each multiplier that all rates shared in the first round, the error of every strategy."""
    for i, power in enumerate(INITIAL_POWERS):
        errors = {state.strategy.name: state.dev_errors[initial_points(state.hyperparameters)[i]] for state in states}
        yield RATE_STEP**power, {strategy: _finite(error) for strategy, error in errors.items()}


def _finite(error: float) -> float | None:
    return None if math.isinf(error) else error


def _error(error: float | None) -> str:
    return "diverged" if error is None else f"{error:.4f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return f"not{JOIN}resolved" if ends is None else f"[{ends[0]:.2g},{JOIN}{ends[1]:.2g}]"
