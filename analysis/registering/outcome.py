"""What came of registered forecasts: each is held against the runs of its curve and budget, whatever they are.

A pair is a curve at a budget. Its runs differ in their seeds and share their luck with the curve, so a pair counts once
in a mean over pairs, however many seeds it has. Of several forecasts of a pair the first counts: saying it again, with
more runs known, does not make it better.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from analysis.forecasting.interval_score import interval_score
from analysis.registering.measured_runs import MeasuredRun, measured_runs, same_budget
from analysis.registering.record import RegisteredForecast, read_registered
from analysis.registering.register import LEVELS, table_digest
from scaling.ledger.records import RUNS_FILE
from scaling.system.json_files import read_json_lines

State = Literal["waiting", "scored", "registered_late"]
"""Of a forecast: no run yet; held against its runs; a run was finished before it was registered, so it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOutcome:
    """A forecast and the runs at its curve and budget. `first`: no earlier line forecasts the same pair.

    `table_found` tells whether the rows of the table up to the largest budget then are still those that it rests on.
    """

    forecast: RegisteredForecast
    runs: tuple[MeasuredRun, ...]
    first: bool
    table_found: bool

    @property
    def late(self) -> bool | None:
        """Whether a run was finished before the forecast was registered; None where no run says when."""
        registered = self.forecast.time.timestamp()
        finished = [run.finished for run in self.runs]
        if any(time is not None and time < registered for time in finished):
            return True
        return None if None in finished or not finished else False

    @property
    def state(self) -> State:
        """What can be said of the forecast."""
        if not self.runs:
            return "waiting"
        return "registered_late" if self.late else "scored"

    @property
    def counted(self) -> bool:
        """Whether the forecast enters the score."""
        return self.first and self.state == "scored"

    @property
    def truth(self) -> float | None:
        """The geometric mean of the errors of the runs; None without any."""
        return math.exp(fmean(math.log(run.cer) for run in self.runs)) if self.runs else None

    @property
    def held(self) -> bool | None:
        """Whether `truth` lies in the interval of one new run."""
        return None if self.truth is None else _inside(self.truth, self.forecast.interval)

    @property
    def runs_held(self) -> int:
        """How many of the runs lie in it."""
        return sum(_inside(run.cer, self.forecast.interval) for run in self.runs)

    @property
    def interval_score(self) -> float | None:
        """The mean interval score of the interval of one new run over the runs, in logs."""
        if not self.runs:
            return None
        return fmean(interval_score(*self.forecast.interval, run.cer, self.forecast.level) for run in self.runs)

    @property
    def ratio(self) -> float | None:
        """`truth` over the error that was said."""
        return None if self.truth is None else self.truth / self.forecast.cer

    def held_at(self, level: float) -> float | None:
        """The share of the runs between the quantiles of `level`; None where the forecast does not have them."""
        ends = [self.forecast.quantiles.get(f"{share:.4g}") for share in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)]
        if ends[0] is None or ends[1] is None or not self.runs:
            return None
        return fmean(_inside(run.cer, (ends[0], ends[1])) for run in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """One entry of `registered` of `forecast --json`: the line of the file, then the outcome."""
        return {
            **self.forecast.model_dump(mode="json", by_alias=True),
            "state": self.state,
            "counted": self.counted,
            "late": self.late,
            "table_found": self.table_found,
            "truth": self.truth,
            "truth_over_prediction": self.ratio,
            "inside": self.held,
            "runs_inside": self.runs_held,
            "interval_score": self.interval_score,
            "measured": [
                {name: getattr(run, name) for name in ("key", "seed", "budget", "flops", "cer", "finished")}
                | {"inside": _inside(run.cer, self.forecast.interval)}
                for run in self.runs
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastScore:
    """What all forecasts of a study say together: shares and means over pairs whose forecast counts and has runs."""

    outcomes: tuple[ForecastOutcome, ...]

    @property
    def pairs(self) -> list[ForecastOutcome]:
        """The outcome that counts of each pair with runs."""
        return [outcome for outcome in self.outcomes if outcome.counted]

    def as_dict(self) -> dict[str, Any]:
        """`score` of `forecast --json`; means are null where no pair has runs."""
        pairs = self.pairs
        runs = sum(len(pair.runs) for pair in pairs)
        runs_held, pairs_held = sum(pair.runs_held for pair in pairs), sum(bool(pair.held) for pair in pairs)
        return {
            "forecasts": len(self.outcomes),
            "waiting": self._in("waiting"),
            "registered_late": self._in("registered_late"),
            "of_unknown_time": sum(pair.late is None for pair in pairs),
            "pairs": len(pairs),
            "pairs_held": pairs_held,
            "pairs_held_share": pairs_held / len(pairs) if pairs else None,
            "runs": runs,
            "runs_held": runs_held,
            "runs_held_share": runs_held / runs if runs else None,
            "held_by_level": {f"{level:g}": _mean(pair.held_at(level) for pair in pairs) for level in LEVELS},
            "interval_score": _mean(pair.interval_score for pair in pairs),
            "truth_over_prediction": math.exp(fmean(math.log(pair.ratio or 1.0) for pair in pairs)) if pairs else None,
        }

    def _in(self, state: State) -> int:
        return sum(outcome.state == state for outcome in self.outcomes)


def score_registered(folder: Path) -> ForecastScore:
    """Hold every forecast against the runs that a folder has now. Raises InputError for files that cannot be read."""
    forecasts, runs = read_registered(folder), measured_runs(folder)
    rows = [row for _, row in read_json_lines(folder / RUNS_FILE)]
    digests = {
        largest: table_digest(rows, largest) for largest in {forecast.largest_budget_flops for forecast in forecasts}
    }
    outcomes: list[ForecastOutcome] = []
    for forecast in sorted(forecasts, key=lambda forecast: forecast.time):
        outcome = ForecastOutcome(
            forecast=forecast,
            runs=tuple(run for run in runs if run.is_at(forecast.curve, forecast.flops)),
            first=not any(_of_one_pair(forecast, other.forecast) for other in outcomes),
            table_found=digests[forecast.largest_budget_flops] == forecast.digest,
        )
        outcomes.append(outcome)
    return ForecastScore(outcomes=tuple(outcomes))


def _of_one_pair(one: RegisteredForecast, other: RegisteredForecast) -> bool:
    return one.curve == other.curve and same_budget(one.flops, other.flops)


def _inside(value: float, ends: Sequence[float]) -> bool:
    return ends[0] <= value <= ends[1]


def _mean(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return fmean(given) if given else None
