"""Question 5: which part of the runs would have been enough.

A design is the first budgets up to some largest one, all of them or every second, with some of the seeds. It is enough
where, for every choice of so many seeds, its forecast of the largest budget of the whole study decides as the whole
study does (who is ahead there, or open), and the interval of one new run of every curve holds the mean error there. Its
price is what its runs alone cost, shared trunks counted once. Whether it decides between `efin` and `joint` alike is
counted apart.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import fmean

from reference_study.comparisons import OPPONENTS, paired, verdict
from reference_study.tables import BASELINE, ENCODER_FIRST, Pair, Study

from analysis.comparing.compare_curves import compare_curves
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.curves import Curve, Curves
from analysis.curves.predict import predict
from analysis.tables.seed_averaged_points import points_of, run_error
from analysis.tables.table import Table
from scaling.ledger.records import is_usable

FEWEST = 3
"""Budgets of a design: two say nothing of a bend or a floor."""
ASKED = (ENCODER_FIRST, BASELINE)
"""The two strategies that the study asks about first."""


def designs(study: Study) -> dict[str, object] | None:
    """Every design of a study with one pair of models, the cheapest first; None while fewer than four budgets are
    there.
    """
    (pair,) = study.pairs
    budgets = study.trained_budgets(pair)
    if study.table is None or study.curves is None or len(budgets) <= FEWEST:
        return None
    top = budgets[-1]
    whole = decided(study.curves, study.table, top)
    truths = truths_at(study.table, pair, top)
    runs = [row for row in study.table.rows if is_usable(row) and row["budget_flops"] in budgets]
    price = spent(runs, study.cooldown)
    seeds = sorted({row["seed"] for row in runs})
    found = [
        {**design, "share_of_the_whole": design["spent_flops"] / price}
        for chosen in choices_of_budgets(budgets)
        for count in range(1, len(seeds) + 1)
        for design in [judged(runs, study, chosen, list(combinations(seeds, count)), whole, truths)]
    ]
    found.sort(key=lambda design: design["spent_flops"])
    return {
        "top_budget_flops": top,
        "planned_top_flops": study.budgets[-1],
        "spent_flops": price,
        "decisions": {f"{one} against {other}": said for (one, other), said in whole.items()},
        "truths": truths,
        "designs": found,
        "enough": next((one for one in found if one["decides_alike"] == one["forecasts_hold"] == 1.0), None),
        "enough_to_decide": next((one for one in found if one["decides_alike"] == 1.0), None),
        "enough_for_the_two": next((one for one in found if one["decides_the_two_alike"] == 1.0), None),
    }


def choices_of_budgets(budgets: Sequence[float]) -> Iterator[tuple[float, ...]]:
    """The smallest budgets up to each, and every second of them counted from the largest."""
    for count in range(len(budgets), FEWEST - 1, -1):
        first = tuple(budgets[:count])
        yield first
        if len(sparse := first[::-2][::-1]) >= FEWEST:
            yield sparse


def judged(
    runs: Sequence[dict],
    study: Study,
    budgets: Sequence[float],
    choices: Sequence[Sequence[int]],
    whole: dict[tuple[str, str], str],
    truths: dict[str, float],
) -> dict[str, object]:
    """A design over every choice of seeds: how often it decides as the whole, and how often its forecasts hold."""
    top, alike, of_two, hold, prices = max(row["budget_flops"] for row in runs), [], [], [], []
    for seeds in choices:
        chosen = [row for row in runs if row["budget_flops"] in budgets and row["seed"] in seeds]
        assert study.table is not None
        kept = [i for i, row in enumerate(study.table.rows) if any(row is one for one in chosen)]
        table = study.table.select(kept)
        curves = fit_curves(table)
        said = decided(curves, table, top)
        alike.append(said == whole)
        of_two.append(said.get(ASKED) == whole.get(ASKED))
        hold.append(all(holds(by_strategy(curves).get(name), top, truth) for name, truth in truths.items()))
        prices.append(spent(chosen, study.cooldown))
    return {
        "seeds": len(choices[0]),
        "budgets": list(budgets),
        "top_over_largest": top / budgets[-1],
        "choices": len(choices),
        "decides_alike": fmean(alike),
        "decides_the_two_alike": fmean(of_two),
        "forecasts_hold": fmean(hold),
        "spent_flops": fmean(prices),
    }


def decided(curves: Curves, table: Table, flops: float) -> dict[tuple[str, str], str]:
    """Who is ahead at `flops`, of every two strategies that are there."""
    known, found = by_strategy(curves), {}
    for names in OPPONENTS:
        if set(names) <= set(known):
            two = [known[name] for name in names]
            together = paired(curves, table, *two)
            found[names] = verdict(compare_curves(*two, flops, together).cer_reduction_interval)
    return found


def by_strategy(curves: Curves) -> dict[str, Curve]:
    """The curves of one pair of models."""
    return {curve.strategy: curve for curve in curves.curves}


def holds(curve: Curve | None, flops: float, truth: float) -> bool:
    """Whether the interval of one new run holds the truth; a curve without an interval holds nothing."""
    if curve is None or (interval := predict(curve, flops).interval) is None:
        return False
    return interval[0] <= truth <= interval[1]


def truths_at(table: Table, pair: Pair, budget: float) -> dict[str, float]:
    """The geometric mean over seeds of each strategy's error at a budget."""
    return {
        point.strategy: math.exp(fmean(math.log(run_error(table, i)) for i in point.rows))
        for point in points_of(table)[0]
        if (point.encoder, point.llm) == pair and table.rows[point.rows[0]]["budget_flops"] == budget
    }


def spent(rows: Sequence[dict], cooldown: float) -> float:
    """What runs cost together: the first stages of a strategy's runs with one seed share the trunk of the next smaller
    budget, which ends where that budget's first stage cools down.
    """
    clusters = defaultdict(list)
    for row in rows:
        clusters[row.get("cluster") or row["key"]].append(row)
    total = 0.0
    for runs in clusters.values():
        runs.sort(key=lambda row: row["budget_flops"])
        shared = [(1.0 - cooldown) * row["stages"][0]["flops"] for row in runs[:-1]]
        total += sum(row["flops"] for row in runs) - sum(shared)
    return total
