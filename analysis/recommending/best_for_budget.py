"""The strategy and models with the lowest expected error for a budget, and why the runner-up lost."""

from collections.abc import Callable, Sequence

import numpy as np

from analysis.comparing.ratio import DrawnRatio, ratio_of
from analysis.curves.curves import FAR, Curve, Curves, rank
from analysis.notes import Note
from analysis.recommending.recommendation import Recommendation, lifetime_flops, recommendation_at
from analysis.tables.table import Table
from scaling.cost.hardware import Hardware


def recommend_for_flops(
    curves: Curves, table: Table, flops: float, hardware: Hardware | None = None, lifetime_hours: float = 0.0
) -> Recommendation:
    """What has the lowest expected error for `flops`, which `lifetime_hours` of recognition are taken off first."""
    return recommend_for_budget(curves, table, lambda _: flops, hardware, lifetime_hours)


def recommend_for_budget(
    curves: Curves,
    table: Table,
    flops_of: Callable[[Curve], float],
    hardware: Hardware | None = None,
    lifetime_hours: float = 0.0,
) -> Recommendation:
    """The same for a budget that pays so many FLOPs of each curve: money buys more where a step is larger."""
    table = curves.used(table)
    budgets = [(curve, flops_of(curve)) for curve in curves.curves]
    training = [(curve, flops - lifetime_flops(curve, table, lifetime_hours)) for curve, flops in budgets]
    candidates = [(curve, training_flops) for curve, training_flops in training if training_flops > 0.0]
    if not candidates:
        most = max(flops for _, flops in budgets)
        message = f"{lifetime_hours:.4g} hours of recognition cost any of the models more than {most:.4g} FLOPs."
        return Recommendation(status="not_identified", warnings=(Note("lifetime_over_budget", message),))
    curve, budget = min(candidates, key=lambda candidate: rank(*candidate))
    notes = [Note("runner_up", _runner_up(candidates))] if len(curves.curves) > 1 else []
    notes += _choice_of_all_runs(candidates, curve)
    return recommendation_at(curve, table, budget, (budget, budget), candidates, notes, hardware, lifetime_hours)


def _runner_up(candidates: Sequence[tuple[Curve, float]]) -> str:
    """A sentence about the second best curve: its distance, and the probability that it is the better one."""
    ranked = sorted((pair for pair in candidates if pair[0].answers), key=lambda pair: rank(*pair))
    if len(ranked) < 2:
        return "No other strategy or model pair was run at two budgets, so nothing comes second."
    (first, first_flops), (second, second_flops) = ranked[:2]
    message = f"{second.label} comes second"
    if max(first.extrapolation(first_flops), second.extrapolation(second_flops)) <= FAR:
        message += f" with CER {second.cer(second_flops):.4g} against {first.cer(first_flops):.4g}"
    ratio = ratio_of(first, second)
    if not isinstance(ratio, DrawnRatio):
        return f"{message}."
    better = float((ratio.draws(np.array([first_flops]), np.array([second_flops])) > 0.0).mean())
    return f"{message}. It is the better one with a probability of {better:.0%}."


def _choice_of_all_runs(candidates: Sequence[tuple[Curve, float]], best: Curve) -> list[Note]:
    """What the choice would be with the runs that were set aside as failed."""
    if all(curve.of_all_runs is None for curve, _ in candidates):
        return []
    curve, _ = min(((curve.as_of_all_runs(), flops) for curve, flops in candidates), key=lambda pair: rank(*pair))
    verb = "would still be" if curve.label == best.label else "would be"
    return [Note("set_aside_effect", f"With the runs that were set aside, the choice {verb} {curve.label}.")]
