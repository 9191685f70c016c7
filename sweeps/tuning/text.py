"""A finished search as a document, as text, and as the study it was made for with what it found."""

import json
import math
from pathlib import Path
from typing import Any

import yaml

from scaling.errors import InputError
from scaling.scoring.interval import LEVEL
from scaling.system.atomic_files import write_text_atomically
from sweeps.study.tuned_settings import BATCH, TunedSettings
from sweeps.tuning.grid import FIRST, RATE_STEP, Knob, Point, best_point, first_points, multipliers
from sweeps.tuning.optimum_fit import FALSE_DRIFT, Optimum
from sweeps.tuning.search_state import Walk
from sweeps.tuning.tune import Found, Tuning

SCHEMA = "asr-scaling/tuning-1"


def tuning_document(tuning: Tuning) -> dict[str, Any]:
    """What `tune --json` prints. Multipliers are of the rates and batches that the study has untuned; rates are peak
    rates, batches seconds of audio.
    """
    return {
        "schema": SCHEMA,
        "study": tuning.study.name,
        "chosen_on": "dev",
        "budgets_flops": list(tuning.study.budgets_flops),
        "seeds": list(tuning.study.seeds),
        "points": tuning.points,
        "charged_flops": tuning.charged_flops,
        "spent_flops": tuning.spent_flops,
        "level": LEVEL,
        "false_drift": FALSE_DRIFT,
        "found": [_found(found) for found in tuning.found],
        "untuned": _untuned(tuning),
    }


def tuning_text(document: dict[str, Any]) -> str:
    """The document for people."""
    budgets = ", ".join(f"{flops:.3g}" for flops in document["budgets_flops"])
    lines = [
        f"{document['points']} settings a strategy at each of {budgets} FLOPs, seeds"
        f" {', '.join(map(str, document['seeds']))}, chosen on dev: {document['charged_flops']:.3e} FLOPs charged,"
        f" {document['spent_flops']:.3e} spent",
        "",
        f"{'strategy':<22}{'encoder + LLM':<26}{'knob':<11}{'best x rule':>12}  {'90 % interval':<18}"
        f"{'drift':>7}  {'90 % interval':<18}",
    ]
    for found in document["found"]:
        for knob, best in found["knobs"].items():
            lines.append(
                f"{found['strategy']:<22}{found['encoder'] + ' + ' + found['llm']:<26}{knob:<11}"
                f"{best['multiplier']:>12.3g}  {_interval(best['interval']):<18}{best['drift']:>7.2g}"
                f"  {_interval(best['drift_interval']):<18}" + ("  at the edge" if knob in found["at_edge"] else "")
            )
        if BATCH in found:
            lines.append(f"{'':<48}batches of {found[BATCH]:.3g} s at {found['at_flops']:.3g} FLOPs")
    for comparison in document["untuned"]:
        lines += ["", *_untuned_lines(comparison)]
    return "\n".join(lines)


def write_tuned_study(tuning: Tuning, path: Path) -> None:
    """The study with what was found, as a study file that says how it was found."""
    study = yaml.safe_load(tuning.study.text)
    for position, model in enumerate(tuning.study.models):
        found = [found for found in tuning.found if found.model is model]
        study["models"][position]["tuned"] = {one.strategy.name: _tuned_fields(one.tuned) for one in found}
    budgets = " and ".join(f"{flops:.3g}" for flops in tuning.study.budgets_flops)
    what = "rates and batches" if Knob.BATCH in tuning.found[0].walks[0].knobs else "rates"
    said = (
        f"# Peak {what} found by `asr-scaling tune` on dev: {tuning.points} settings a strategy at {budgets} FLOPs,"
        f" seeds {', '.join(map(str, tuning.study.seeds))}.\n"
    )
    write_text_atomically(path, said + yaml.safe_dump(study, sort_keys=False, allow_unicode=True))


def refuse_no_folder(path: Path) -> None:
    """Raise InputError where a study could not be written to `path`: better before the search than after it."""
    if not path.parent.is_dir():
        raise InputError(f"--write {path}: there is no folder {path.parent}")


def write_document(document: dict[str, Any], path: Path) -> None:
    """The document as a file."""
    write_text_atomically(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _found(found: Found) -> dict[str, Any]:
    tuned = found.tuned
    return {
        "strategy": found.strategy.name,
        "encoder": found.model.spec.encoder_name,
        "llm": found.model.spec.llm_name,
        "charged_flops": found.charged_flops,
        "at_edge": [knob.value for knob in found.at_edge],
        "knobs": {knob.value: _optimum(best) for knob, best in zip(found.walks[0].knobs, found.optima, strict=True)},
        **_tuned_fields(tuned),
        "walks": [_walk(walk) for walk in found.walks],
    }


def _optimum(best: Optimum) -> dict[str, Any]:
    return {
        "multiplier": best.multiplier,
        "interval": best.interval,
        "drift": best.drift,
        "drift_interval": best.drift_interval,
    }


def _tuned_fields(tuned: TunedSettings) -> dict[str, Any]:
    """As `sweeps.study.schema.TunedFields` reads them."""
    return {
        "rates": {stage: {part.value: rate for part, rate in rates.items()} for stage, rates in tuned.rates.items()},
        **({} if tuned.batch_audio_seconds is None else {BATCH: tuned.batch_audio_seconds}),
        "at_flops": float(f"{tuned.at_flops:.4g}"),
        "drift": {str(name): float(f"{power:.3g}") for name, power in tuned.drift.items()},
        "tuning_flops": tuned.tuning_flops,
        "at_edge": [str(knob) for knob in tuned.at_edge],
    }


def _walk(walk: Walk) -> dict[str, Any]:
    best = best_point(walk.scores)
    return {
        "budget_flops": walk.budget_flops,
        "best": _trial(walk, best),
        "trials": [_trial(walk, point) for point in walk.scores],
    }


def _trial(walk: Walk, point: Point) -> dict[str, Any]:
    factors = {knob.value: round(factor, 4) for knob, factor in multipliers(walk.knobs, point).items()}
    return {"multipliers": factors, "dev_cer": _finite(walk.scores[point])}


def _untuned(tuning: Tuning) -> list[dict[str, Any]]:
    """Dev CER of all strategies at the same multiplier of all rates, and at the best that each one found.

    Each row is what a comparison at one setting for everyone would have seen.
    """
    comparisons = []
    for model in tuning.study.models:
        for flops in tuning.study.budgets_flops:
            walks = [
                walk
                for found in tuning.found
                if found.model is model
                for walk in found.walks
                if walk.budget_flops == flops
            ]
            common = [
                {
                    "multiplier": RATE_STEP**power,
                    "dev_cer": {
                        walk.strategy.name: _finite(walk.scores[first_points(walk.knobs)[i]]) for walk in walks
                    },
                }
                for i, power in enumerate(FIRST)
            ]
            best = {walk.strategy.name: _finite(min(walk.scores.values())) for walk in walks}
            comparisons.append(
                {
                    "encoder": model.spec.encoder_name,
                    "llm": model.spec.llm_name,
                    "budget_flops": flops,
                    "common": common,
                    "best": best,
                }
            )
    return comparisons


def _untuned_lines(comparison: dict[str, Any]) -> list[str]:
    names = list(comparison["best"])
    rows = [(f"all x {row['multiplier']:.3g}", row["dev_cer"]) for row in comparison["common"]]
    return [
        f"dev CER at {comparison['budget_flops']:.3g} FLOPs on {comparison['encoder']} + {comparison['llm']}, the same"
        " setting for everyone, and each one's best",
        f"{'':<12}" + "".join(f"{name:>22}" for name in names),
        *(
            f"{label:<12}" + "".join(f"{_error(errors[name]):>22}" for name in names)
            for label, errors in [*rows, ("best", comparison["best"])]
        ),
    ]


def _finite(score: float) -> float | None:
    return None if math.isinf(score) else score


def _error(score: float | None) -> str:
    return "diverged" if score is None else f"{score:.4f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "not resolved" if ends is None else f"[{ends[0]:.2g}, {ends[1]:.2g}]"
