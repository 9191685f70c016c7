"""Registered forecasts as `forecast` prints them."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.formatting import interval_cell, label_cell, number, percent
from analysis.glossary import STATUS_IN_WORDS
from analysis.registering.outcome import ForecastOutcome, ForecastScore
from analysis.registering.record import FORECASTS_FILE, RegisteredForecast
from scaling.system.console import JOIN
from scaling.system.text_table import text_table


def registered_text(forecasts: Sequence[RegisteredForecast]) -> str:
    """What was written down, one forecast a line."""
    rows = [[*_said(forecast), STATUS_IN_WORDS[forecast.status]] for forecast in forecasts]
    table = text_table([*_SAID, "status"], rows)
    first = forecasts[0]
    rests_on = f"{first.runs} runs of up to {number(first.largest_budget_flops)} FLOPs, table {first.digest[:12]}"
    when = f"registered {first.time:%Y-%m-%d %H:%M:%S} UTC from {rests_on}"
    return f"{table}\n{when}\ncommit {FORECASTS_FILE} before these runs are trained"


def score_text(score: ForecastScore) -> str:
    """What came of each forecast, and of all together."""
    rows = [[*_said(outcome.forecast), *_came(outcome)] for outcome in score.outcomes]
    table = text_table([*_SAID, "truth", "held", "score", "state"], rows)
    return "\n".join([table, *_lines(score)])


_SAID = ("strategy", "FLOPs", "CER said, interval of one run")


def _said(forecast: RegisteredForecast) -> list[str]:
    strategy, *models = forecast.curve
    pair = " + ".join(name for name in models if name)
    label = label_cell(f"{strategy} ({pair})" if pair else strategy or "-")
    reach = f"({number(forecast.extrapolation, 3)}{JOIN}times the runs)"
    return [label, f"{number(forecast.flops)} {reach}", f"{number(forecast.cer)} {interval_cell(forecast.interval)}"]


def _came(outcome: ForecastOutcome) -> list[str]:
    if not outcome.runs:
        return ["-", "-", "-", outcome.state.replace("_", " ")]
    held = f"{'yes' if outcome.held else 'no'}, {outcome.runs_held}{JOIN}of{JOIN}{len(outcome.runs)}"
    state = outcome.state.replace("_", " ") + ", said before" * (not outcome.first)
    return [number(outcome.truth), held, number(outcome.interval_score, 3), state]


def _lines(score: ForecastScore) -> list[str]:
    every = score.as_dict()
    lines = _summary(every, score.pairs[0].forecast.level) if score.pairs else []
    if every["waiting"]:
        lines.append(f"{every['waiting']} of {every['forecasts']} forecasts wait for their runs")
    late = [outcome.forecast.label for outcome in score.outcomes if outcome.state == "registered_late"]
    lines += [f"registered after a run of it was finished, and not counted: {label}" for label in late]
    if every["of_unknown_time"]:
        lines.append(f"of {every['of_unknown_time']} scored pairs the table does not say when all runs were finished")
    if changed := sum(not outcome.table_found for outcome in score.outcomes):
        lines.append(f"{changed} forecasts rest on a table whose rows up to its largest budget have changed since")
    return lines


def _summary(every: Mapping[str, Any], level: float) -> list[str]:
    pairs = f"{every['pairs_held']} of {every['pairs']} ({percent(every['pairs_held_share'])})"
    runs = f"{every['runs_held']} of {every['runs']} ({percent(every['runs_held_share'])})"
    score, ratio = number(every["interval_score"], 3), number(every["truth_over_prediction"], 3)
    return [
        f"pairs of a curve and a budget: the {level:.0%} interval of one run holds the geometric mean of the seeds of "
        f"{pairs}",
        f"single runs: it holds {runs}",
        f"means over pairs: interval score in logs {score}; truth over prediction {ratio} (geometric)",
    ]
