"""Question 4: what an untuned, a 6ND-budgeted and a single-seed comparison would have concluded."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from reference_study.comparisons import DEAF, OPPONENTS, curves_of_pair, heard, of_pair, paired, summary
from reference_study.tables import Place, Study, hearing, table_of

from analysis.comparing.compare_curves import compare_curves
from analysis.curves.curve_fitting import fit_curves
from analysis.curves.curves import Curves
from analysis.tables.seed_averaged_points import points_of, run_error
from analysis.tables.table import Table
from scaling.speech.synthetic.corpus_files import HELD_OUT_UTTERANCES
from sweeps.study.study_file import read_study_file

SIX_ND = "six_nd_flops"
"""The column of FLOPs by the rule of 6 x parameters x tokens."""
COMMON = (0.3333, 0.5774, 1.0, 1.7321, 3.0)
"""Multiples of the rule's rates that `tune` tries for all parts at once."""
SAME = 0.01
Z_90 = 1.645
"""Standard deviations from the middle of a normal distribution to the end of its 90 % interval."""


class Decision(NamedTuple):
    """A question that a study answers: which of two strategies is ahead at a budget of a pair of models."""

    encoder: str
    llm: str
    strategy: str
    against: str
    flops: float


def untuned(folder: Path, characters: float | None = None) -> list[dict[str, object]]:
    """Of every search in `folder`: dev CER where all take the rule's rates, and where each takes its own best.
    `characters`: about how many dev has, for what counting alone leaves open.
    """
    return [row for file in sorted(folder.glob("*.json")) for row in _search(file, characters)]


def dev_characters(study: Study) -> float | None:
    """About how many characters dev has: as many an utterance as the test set; None where no row says."""
    rows = () if study.table is None else study.table.rows
    known = (HELD_OUT_UTTERANCES * row["ref_chars"] / row["n_utterances"] for row in rows if row.get("n_utterances"))
    return next(known, None)


def _search(file: Path, characters: float | None) -> Iterator[dict[str, object]]:
    document = json.loads(file.read_text("utf-8"))
    if not str(document.get("schema", "")).startswith("asr-scaling/tuning"):
        return
    walks = {(found["strategy"], walk["budget_flops"]): walk for found in document["found"] for walk in found["walks"]}
    (model,) = read_study_file(document["study"], ()).fields.models
    for budget in document["budgets_flops"]:
        strategies = [name for name, at in walks if at == budget]
        for strategy, against in OPPONENTS:
            if strategy in strategies and against in strategies:
                pair = walks[strategy, budget], walks[against, budget]
                yield {
                    "search": file.name,
                    "flops": budget,
                    "strategy": strategy,
                    "against": against,
                    **_saved(*pair, model.lr_scale, characters),
                }


def _saved(own: dict, other: dict, scale: float, characters: float | None) -> dict[str, object]:
    """`scale`: where the search began, as a multiple of the rule's rates."""
    at_rule = [at_multiple(walk, 1.0 / scale) for walk in (own, other)]
    best = [walk["best"]["dev_cer"] for walk in (own, other)]
    shared = [
        1.0 - mine / theirs
        for multiple in COMMON
        if (mine := at_multiple(own, multiple / scale)) is not None
        and (theirs := at_multiple(other, multiple / scale)) is not None
    ]
    return {
        "dev_cer_at_the_rule": at_rule,
        "dev_cer_at_each_best": best,
        "cer_saved_at_the_rule": None if None in at_rule else 1.0 - at_rule[0] / at_rule[1],
        "cer_saved_at_each_best": 1.0 - best[0] / best[1],
        "cer_saved_at_one_rate_for_all": [min(shared), max(shared)] if shared else None,
        "open_by_counting": counting(best, characters),
    }


def counting(cers: Sequence[float], characters: float | None) -> float | None:
    """Half of the 90 % interval of the logarithm of a ratio of two CERs where characters fail each by itself;
    None where nobody knows how many were counted.
    """
    return None if characters is None else Z_90 * math.sqrt(sum(1.0 / (cer * characters) for cer in cers))


def at_multiple(walk: dict, multiple: float) -> float | None:
    """Dev CER where every part takes this multiple of the rate that the search began with; None: not tried."""
    for trial in walk["trials"]:
        rates = {knob: value for knob, value in trial["multipliers"].items() if knob != "batch"}
        plain = abs(trial["multipliers"].get("batch", 1.0) - 1.0) < SAME
        if plain and all(abs(value / multiple - 1.0) < SAME for value in rates.values()):
            return trial["dev_cer"]
    return None


def by_six_nd(places: Sequence[Place], prices: dict) -> list[dict[str, object]]:
    """Each comparison at equal 6ND beside that at equal charged FLOPs; `prices` is six_nd.json."""
    found = []
    for place in {(place.study.name, place.pair): place for place in reversed(places)}.values():
        rates = prices.get(place.study.name, {}).get(" + ".join(place.pair))
        for strategy, against in OPPONENTS if place.trained else ():
            if rates is not None and {strategy, against} <= set(place.study.strategies):
                found.append({**place.head, "strategy": strategy, "against": against}
                             | _both_ways(place, strategy, against, rates))  # fmt: skip
    return found


def _both_ways(place: Place, strategy: str, against: str, rates: dict[str, float]) -> dict[str, object]:
    table, curves = of_pair(place)
    top = place.study.top(place.pair)
    priced = table_of([{**row, SIX_ND: six_nd(row, rates)} for row in table.rows], table.path)
    over_charged = {name: _at_top(priced, name, top) for name in (strategy, against)}
    by_rule = fit_curves(priced.renamed({"flops": SIX_ND}))
    return {
        "at_equal_flops": at(curves, table, place, strategy, against, top),
        "at_equal_six_nd": at(by_rule, priced, place, strategy, against, over_charged[against] * top),
        "six_nd_over_charged": over_charged,
    }


def at(curves: Curves, table: Table, place: Place, strategy: str, against: str, flops: float) -> dict[str, object]:
    two = [curves.only(name, *place.pair) for name in (strategy, against)]
    return summary(compare_curves(*two, flops, paired(curves, table, *two)))


def six_nd(row: dict, rates: dict[str, float]) -> float | None:
    """6ND of a run: over its stages, seconds of audio times what a second costs by the rule; None where unknown."""
    if any(stage.get("audio_seconds") is None for stage in row["stages"]):
        return None
    return sum(rates[stage["objective"]] * stage["audio_seconds"] for stage in row["stages"])


def _at_top(table: Table, strategy: str, top: float) -> float:
    runs = [row for row in table.rows if (row["strategy"], row["budget_flops"]) == (strategy, top)]
    return float(np.mean([row[SIX_ND] / row["flops"] for row in runs if row[SIX_ND] is not None]))


def decisions(study: Study, table: Table) -> dict[Decision, str]:
    """Who is ahead of whom at every budget, by the fits of `table`; at budgets that its fits do not reach, nothing."""
    curves, found = fit_curves(table), {}
    for pair in study.pairs:
        own = curves_of_pair(curves, pair)
        for strategy, against in OPPONENTS:
            two = [one for name in (strategy, against) for one in own.curves if one.strategy == name and one.answers]
            together = paired(curves, table, *two) if len(two) == 2 else 0.0
            for budget in study.trained_budgets(pair) if len(two) == 2 else ():
                asked = hearing(study.table, pair, budget, (strategy, against))
                said = heard(summary(compare_curves(*two, budget, together)), asked)
                if not said["below_the_fits"] and said["verdict"] != DEAF:
                    found[Decision(*pair, strategy, against, budget)] = said["verdict"]
    return found


def single_seed(studies: Sequence[Study]) -> dict[str, object]:
    """Each seed alone against all seeds: with fits and intervals, and by the two runs at a budget alone."""
    fitted, bare = [], []
    for study in studies:
        if study.table is None or len(seeds := sorted({row["seed"] for row in study.table.rows})) < 2:
            continue
        everything = decisions(study, study.table)
        for seed in seeds:
            alone = study.table.select([i for i, row in enumerate(study.table.rows) if row["seed"] == seed])
            own = decisions(study, alone)
            fitted += [(everything[asked], said) for asked, said in own.items() if asked in everything]
            bare += [(everything[asked], said) for asked, said in lower_runs(alone).items() if asked in everything]
    return {"with_fits": agreement(fitted), "by_two_runs": agreement(bare)}


def lower_runs(table: Table) -> dict[Decision, str]:
    """Who has the lower error of two runs, with nothing said of chance."""
    points, found = points_of(table)[0], {}
    errors = {
        (point.encoder, point.llm, point.strategy, table.rows[i]["budget_flops"]): run_error(table, i)
        for point in points
        for i in point.rows
    }
    for (encoder, llm, strategy, budget), error in errors.items():
        for one, against in OPPONENTS:
            other = errors.get((encoder, llm, against, budget))
            if one == strategy and other is not None:
                found[Decision(encoder, llm, one, against, budget)] = "ahead" if error < other else "behind"
    return found


def agreement(pairs: Sequence[tuple[str, str]]) -> dict[str, object]:
    """How often what was said agrees with all seeds. A false claim names a winner where all seeds leave it open; a
    contrary one names the other winner; a missed one leaves open what all seeds tell.
    """
    claimed = [(truth, said) for truth, said in pairs if said in ("ahead", "behind")]
    return {
        "decisions": len(pairs),
        "agree": sum(truth == said for truth, said in pairs),
        "claims": len(claimed),
        "false": sum(truth == "open" for truth, _ in claimed),
        "contrary": sum({truth, said} == {"ahead", "behind"} for truth, said in claimed),
        "missed": sum(said == "open" and truth in ("ahead", "behind") for truth, said in pairs),
    }
