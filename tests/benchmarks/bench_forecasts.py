"""Do forecasts come true? The default answer is held against error rates that somebody measured, and planted laws.

Parts, all of them or those named on the command line; the file keeps what the others found before:

bank      learning curves of image classifiers, six checkpoints each, asked at 2, 4 and 10 times the last
left_out  the same, with the prior learned from the other curves by an automatic recipe, see `learned`
studies   our own studies of small recognisers, cut at every budget from the fourth on
planted   laws that are true: 13 cells and one short curve, with and without seeds, beside the profile interval
tables    published tables of speech errors and of losses, the two largest sizes or budgets held out

All but `planted` are scored by forecast_bank.py of the shared folder (environment variable ASR_SCALING_SHARED, or
../shared beside the repository), and skipped where it is absent. Scores are of logs of error rates: bias of
prediction / truth, and the interval score of Gneiting & Raftery (2007) at 90 %.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from bench_fitting_coverage import averaged, observed, outlook
from bench_fitting_forecast import DATA, SHARED, lowest_losses, speech_curves
from bench_fitting_forecast import rows as published
from record import RESULTS, machine, write

from analysis.curves.curve_fitting import fit_curves
from analysis.curves.predict import predict_rows
from analysis.forecasting.law_grid import SHAPE
from analysis.forecasting.pooling import pooled_priors
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.prior import AXES, MISFITS, NOISES, ONE_TRAINING, Prior
from analysis.tables.table import read_table
from scaling.scoring.interval import LEVEL

BANK = SHARED / "data" / "learning_curves" / "vision_error_rates.csv"
STUDIES = RESULTS.parent
SET_THE_PRIOR = ("en-digits-two-seeds", "zh-digits-larger-models", "general-zh-digits", "quickstart")
"""The studies that were looked at while the prior of separate runs was set; the others judge."""
COMMAND = str(Path(sys.executable).parent / "asr-scaling")
CHECKED = 3
"""Windows of the bank of which the command line, too, is asked."""
NEAR_CHANCE = 0.6
"""A window whose last error is above this has hardly left chance."""
LAST_PLACE = 1e-9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--sets", type=int, default=200, help="planted data sets a cell")
    parser.add_argument("--kept-as", help="a name to keep the parts under, beside those of today: what older code says")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    for name in options.parts or PARTS:
        started, used = time.perf_counter(), time.process_time()
        found = PARTS[name](options)
        if "skipped" in found:
            print(f"{name} skipped: {found['skipped']}")  # noqa: T201
            continue
        found["seconds"] = {"wall": time.perf_counter() - started, "processor": time.process_time() - used}
        file = RESULTS / "forecasts.json"
        report = json.loads(file.read_text("utf-8")) if file.exists() else {}
        place = report.setdefault("kept", {}).setdefault(options.kept_as, {}) if options.kept_as else report
        place[name] = rounded({"machine": machine(), **found})
        write("forecasts", {part: report[part] for part in (*PARTS, "kept") if part in report})


@cache
def scorer():
    """forecast_bank.py of the shared folder."""
    sys.path.insert(0, str(SHARED / "tools"))
    import forecast_bank

    return forecast_bank


def score(answers):
    """One row a horizon, and the answers that are no numbers."""
    horizons, failed = scorer().score(answers)
    return {"horizons": horizons, "failed": [list(one) for one in failed]}


def bank(_):
    """Each curve by itself, all models of a task in one table, and one law believed, for comparison."""
    if not BANK.exists():
        return {"skipped": f"{BANK} is not there"}
    groups = scorer().pooled_groups(BANK)
    windows = [window for group in groups for window in group]
    single = [answer(curve, window) for window in windows for curve in fitted(rows_of([window]))]
    pooled = [answer(*pair) for group in groups for pair in zip(fitted(rows_of(group)), group, strict=True)]
    one_law = [answer(curve, window) for window in windows for curve in fitted(rows_of([window]), "power_floor")]
    said = [scorer().ask(COMMAND, None, window) for window in windows[:CHECKED]]
    said_pooled = scorer().ask_pooled(COMMAND, None, groups[0])
    require_same(said + said_pooled, single[:CHECKED] + pooled[: len(groups[0])])
    near_chance = [one for one, (_, seen, _) in zip(single, windows, strict=True) if seen[-1][1] > NEAR_CHANCE]
    return {"single": score(single), "single_near_chance": score(near_chance), "pooled": score(pooled),
            "power_floor": score(one_law), "equal_by_command_line": len(said + said_pooled)}  # fmt: skip


def rows_of(windows):
    return [{"strategy": f"m{i:03d}", "flops": x, "cer": y} for i, (_, seen, _) in enumerate(windows) for x, y in seen]


def fitted(rows, law=None):
    """The curves of a table with these rows, as `fit` makes them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "runs.jsonl")
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return fit_curves(read_table(file), law).curves


def answer(curve, window, *, calibrated=False):
    """What a curve says of a window's questions, as `forecast_bank.py` takes it."""
    name, _, asked = window
    said = predict_rows(curve, {"C": [x for _, x, _ in asked]})
    each = [(one.cer, (calibrated and one.calibrated_interval) or one.interval) for one in said]
    return name, None, [(horizon, truth, *own) for (horizon, _, truth), own in zip(asked, each, strict=True)]


def require_same(by_command, in_process):
    """End the benchmark where the command line says other numbers than the functions that are scored here."""
    for (name, error, said), (_, _, expected) in zip(by_command, in_process, strict=True):
        if error is not None or not np.allclose(numbers(said), numbers(expected), rtol=LAST_PLACE, atol=0.0):
            raise SystemExit(f"{name}: the command line says {error or said}, the functions {expected}")


def numbers(asked):
    return [[horizon, truth, value, *ends] for horizon, truth, value, ends in asked]


def left_out(_):
    """Each task (with all its shots), and each model, judged by a prior that was learned without it, from windows or
    from whole curves; and the same curves by the prior that is shipped, which was set by hand with all of them seen.
    """
    if not BANK.exists():
        return {"skipped": f"{BANK} is not there"}
    seen = [[(window, *observed(rows_of([window]))) for window in group] for group in scorer().pooled_groups(BANK)]
    sources = {"windows": evidence_of_windows(seen), "whole_curves": evidence_of_whole_curves()}
    found = {"recipe": " ".join(learned.__doc__.split()), "steps": STEPS}
    for kind, part in (("task", lambda name: name.split("_")[0]), ("model", lambda name: name.split("/", 1)[1])):
        names = sorted({part(curve) for curve in sources["windows"]})
        by_prior = {"shipped": dict.fromkeys(names, ONE_TRAINING)}
        for source, of_curves in sources.items():
            others = {name: [own for curve, own in of_curves.items() if part(curve) != name] for name in names}
            by_prior[source] = {name: learned(evidences) for name, evidences in others.items()}
        found[kind] = {prior: judged_by(seen, part, priors) for prior, priors in by_prior.items()}
    return found


def judged_by(seen, part, priors):
    """Scores of the curves of every part under its own prior, and of all together."""
    answers = defaultdict(lambda: defaultdict(list))
    for name, prior in priors.items():
        for group in seen:
            own = [n for n, (window, *_) in enumerate(group) if part(window[0]) == name]
            for single, pooled in judged(group, prior, own):
                for kept in (name, "all"):
                    answers[kept]["single"].append(single)
                    answers[kept]["pooled"].append(pooled)
    return {name: {way: score(own) for way, own in ways.items()} for name, ways in answers.items()}


STEPS = 2
"""After one step the prior is too broad, because every posterior is still half the vague prior's. Each further step
narrows it, and after many it knows nothing but the curves that it was learned from."""


def learned(curves):
    """Start from a vague prior, which is uniform on every axis of the grid. Take the posterior marginals, under it, of
    every other curve, whole, or the mean of those of its windows. Their mean over curves is the next prior (a step of
    expectation and maximisation); the second one is taken. The axes of the grid and the strength of pooling are not
    learned again.
    """
    prior = vague()
    for _ in range(STEPS):
        prior = mean_of([mean_of([posterior_prior(evidence, prior) for evidence in own]) for own in curves])
    return prior


def posterior_prior(evidence, prior):
    return Prior(**Posterior(evidence, prior).marginals())


def mean_of(priors):
    return Prior(**{axis: np.mean([getattr(prior, axis) for prior in priors], axis=0) for axis in AXES})


def vague():
    sizes = dict(zip(AXES, (*SHAPE, len(MISFITS), len(NOISES)), strict=True))
    return Prior(**{axis: np.full(size, 1.0 / size) for axis, size in sizes.items()})


def evidence_of_windows(seen):
    windows = defaultdict(list)
    for group in seen:
        for window, _, evidence in group:
            windows[window[0]].append(evidence)
    return windows


def evidence_of_whole_curves():
    curves = defaultdict(list)
    for row in published(BANK.relative_to(DATA)):
        curves[f"{row['task']}/{row['model']}"].append({"flops": float(row["seen"]), "cer": float(row["error"])})
    return {name: [observed(rows)[1]] for name, rows in curves.items()}


def judged(group, base, chosen):
    """The chosen windows of a group: the answer when one is fitted by itself, and when it learns from the others."""
    pooled = pooled_priors([evidence for _, _, evidence in group], base) if chosen else []
    for n in chosen:
        window, *known = group[n]
        yield tuple(answer_of(outlook(*known, prior), window) for prior in (base, pooled[n]))


def answer_of(said, window):
    name, _, asked = window
    flops_Q = np.array([x for _, x, _ in asked])
    each = zip(asked, said.median(flops_Q), *said.run_ends(flops_Q, LEVEL), strict=True)
    return name, None, [(horizon, truth, value, (low, high)) for (horizon, _, truth), value, low, high in each]


def studies(_):
    """Every study that was published to be cut: the largest budgets hidden, forecast from the rest. Also without the
    widening for repetition, which entered the code together with `free-spoken-digits`.
    """
    if not SHARED.exists():
        return {"skipped": f"{SHARED} is not there"}
    names = [file.parent.name for file in sorted(STUDIES.glob("forecasting/*/runs.jsonl"))]
    files = {name: STUDIES / "forecasting" / name / "runs.jsonl" for name in names}
    files |= {name: STUDIES / name / "runs.jsonl" for name in ("quickstart", "miniature")}
    answers = {name: truncated(file) for name, file in files.items()}
    shortest = min(answers, key=lambda name: len(answers[name]))
    require_same(list(scorer().study_answers(files[shortest], COMMAND)), answers[shortest])
    each = {}
    for name, own in answers.items():
        each[name] = {"use": "learned from" if name in SET_THE_PRIOR else "judged", **score_of_study(own)}
        unwidened = truncated(files[name], widened=False)
        if unwidened != own:
            each[name]["without_widening_for_repetition"] = score_of_study(unwidened)
    return {"each": each, "equal_by_command_line": {shortest: len(answers[shortest])}}


def score_of_study(answers):
    held = [low <= truth <= high for _, _, asked in answers for _, truth, _, (low, high) in asked]
    return {**score(answers), "held": sum(held), "of": len(held)}


def truncated(file, *, widened=True):
    """The answers that `forecast_bank.py --study` asks of the command line, in its order."""
    rows = [row for row in read_lines(file) if row.get("cer") and row.get("status") in ("ok", None, "")]
    budgets, found = sorted({row["budget_flops"] for row in rows}), []
    for k in range(4, len(budgets)):
        for curve in fitted([row for row in rows if row["budget_flops"] in budgets[:k]]):
            known = curve if widened else replace(curve, outlook=replace(curve.outlook, passes=None))
            own = [row for row in rows if (row["strategy"], row["encoder"], row["llm"]) == curve.identity]
            for row in sorted(own, key=lambda row: row["budget_flops"]):
                if row["budget_flops"] in budgets[k:]:
                    asked = [(round(row["budget_flops"] / budgets[k - 1], 1), float(row["flops"]), row["cer"])]
                    found.append(answer(known, ("/".join(curve.identity), None, asked)))
    return found


def tables(_):
    """The default beside `--law power_floor` with its calibrated interval, or its plain one where a curve is too short
    to calibrate. Where a table tells no FLOPs, the size of a model (times epochs) or hours stand for compute. Of an
    isoFLOP table, the lowest loss of each budget is the curve.
    """
    if not DATA.exists():
        return {"skipped": f"{DATA} is not there"}
    found = {}
    for source, column, curves in (("speech", "cer", speech_curves()), ("isoflop", "loss", lowest_losses())):
        long = {name: curve for name, curve in curves.items() if len({x for x, _ in curve}) >= FEWEST_POINTS}
        new, old = [], []
        for name, curve in long.items():
            *seen, first, _ = sorted({x for x, _ in curve})
            window = (name, None, [(HELD_OUT, x, y) for x, y in curve if x >= first])
            rows = [{"flops": x, column: y} for x, y in curve if x in seen]
            new += [answer(one, window) for one in fitted(rows)]
            old += [answer(one, window, calibrated=True) for one in fitted(rows, "power_floor")]
        with_interval = [i for i, (_, _, asked) in enumerate(old) if all(ends for *_, ends in asked)]
        found[source] = {
            "default": {"rms_of_points": rms(new), **score(new)},
            "power_floor": {"rms_of_points": rms(old), **score([old[i] for i in with_interval])},
            "default_where_power_floor_has_an_interval": score([new[i] for i in with_interval]),
            "curves": len(long),
            "too_short": sorted(curves.keys() - long.keys()),
        }
    return found


FEWEST_POINTS = 5
HELD_OUT = 0
"""In place of a horizon: the two largest sizes of a table, whatever they are."""


def rms(answers):
    """Of log(prediction / truth), whether or not there is an interval."""
    return np.sqrt(np.mean([np.log(value / truth) ** 2 for _, _, asked in answers for _, truth, value, _ in asked]))


def read_lines(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def rounded(value):
    """`value` as JSON data, floats to four decimals."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(one) for one in value]
    if isinstance(value, np.generic):
        return rounded(value.item())
    return round(value, 4) if isinstance(value, float) else value


def planted(options):
    """Laws that are true, see `averaged`."""
    return averaged(options.sets)


PARTS = {part.__name__: part for part in (bank, left_out, studies, planted, tables)}

if __name__ == "__main__":
    main()
