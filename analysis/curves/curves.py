"""Curves: what a study says of each strategy and pair of models.

Every (strategy, encoder, LLM) has its own curve. "Strategy S at C FLOPs" without a model means the pair whose expected
error is lowest there; the answer names it, and its interval is that pair's.

Answers come from an outlook, which averages laws, unless the user asked for one law by name; then they come from its
fit alone. A fit is there in both cases: it describes the points in a formula.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from analysis.curves import law_ends
from analysis.curves.law_ends import Columns, Ends, most_passes
from analysis.curves.seed_noise import RunNoise
from analysis.fitting.backtest import Calibration
from analysis.fitting.fit import Fit
from analysis.fitting.laws import Array
from analysis.forecasting.outlook import Outlook
from analysis.forecasting.repetition import MANY_EPOCHS
from analysis.notes import Note, Status
from analysis.tables.choice import refuse_unknown
from analysis.tables.table import Table
from analysis.tables.usable_rows import NAMED
from scaling.errors import InputError

AVERAGED = "averaged"
"""The law of an answer that averages laws by how well they explain the runs."""

FAR, VERY_FAR = 10.0, 100.0
"""Multiples of the largest fitted value. Forecasts of measured curves were tested up to `FAR` times, see
`results/benchmarks/forecasts.json`; beyond it an answer is a range. Beyond `VERY_FAR` times nothing is compared.
"""

NOTICEABLE = 1.5
"""Beyond this multiple of the largest run, a prediction rests on the law rather than on the runs (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One strategy with one pair of models (or one strategy, for a law that spans models).

    `outlook` is None where a law was asked for and where there are too few points, `fit` where there are too few points
    for any law, `calibration` (of the law asked for) where there are too few to cut. `domain` holds the smallest and
    largest value of each of the law's columns. `of_all_runs` is the outlook as it would be with the runs that were set
    aside as failed; None where there are none.
    """

    strategy: str
    encoder: str | None
    llm: str | None
    fit: Fit | None
    calibration: Calibration | None
    domain: Mapping[str, tuple[float, float]]
    notes: tuple[Note, ...]
    noise: RunNoise | None = None
    outlook: Outlook | None = None
    of_all_runs: Outlook | None = None

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        """Strategy, encoder and LLM: the `curve` of its points."""
        return self.strategy, self.encoder, self.llm

    @property
    def names(self) -> dict[str, Any]:
        """The same by the keys of documents."""
        return {"strategy": self.strategy, "encoder": self.encoder, "llm": self.llm}

    @property
    def answers(self) -> bool:
        """Whether the curve has enough points to say anything."""
        return self.outlook is not None or self.fit is not None

    @property
    def law(self) -> str | None:
        """The name of the law that answers come from: `AVERAGED`, or that of the fit."""
        if self.outlook is not None:
            return AVERAGED
        return None if self.fit is None else self.fit.law.name

    @property
    def status(self) -> Status:
        """How far answers can be trusted."""
        codes = {note.code for note in self.notes}
        if not self.answers or "too_few_points" in codes:
            return "too_few_points"
        if self.outlook is not None:
            return "not_identified" if codes & {"all_at_chance", "one_below_chance", "no_fall"} else "ok"
        return "ok" if self.fit is None else self.fit.status

    @property
    def warnings(self) -> tuple[Note, ...]:
        """Notes on the points, and on the fit where answers come from it."""
        return self.notes + (() if self.fit is None or self.outlook is not None else self.fit.warnings)

    @property
    def label(self) -> str:
        """Strategy and models in words."""
        models = " + ".join(name for name in (self.encoder, self.llm) if name)
        return f"{self.strategy} ({models})" if models else self.strategy

    @property
    def largest_flops(self) -> float:
        """The largest budget fitted. Raises InputError for a law in other columns."""
        self.require_compute()
        return self.domain["C"][1]

    def require_compute(self) -> None:
        """Raises InputError for a law in other columns than FLOPs."""
        if "C" not in self.domain:
            raise InputError(f"{self.label}: its law is in {', '.join(self.domain)}, not in FLOPs; predict with --at")

    def as_of_all_runs(self) -> "Curve":
        """The curve as it would be with the runs that were set aside; itself where there are none."""
        return self if self.of_all_runs is None else replace(self, outlook=self.of_all_runs, of_all_runs=None)

    def cer(self, flops: float) -> float:
        """The curve at `flops`; NaN where it has no answer. Raises InputError for a law in other columns."""
        self.require_compute()
        return float(self.predicted({"C": [flops]})[0])

    def predicted(self, columns: Columns) -> Array:
        """The curve at `columns`, shape (k,); NaN where it has no answer."""
        if self.outlook is not None:
            return self.outlook.median(np.asarray(columns["C"], dtype=float))
        if self.fit is not None:
            return self.fit.predict(columns)
        return np.full(len(np.asarray(next(iter(columns.values())))), math.nan)

    def expected_error(self, flops: float) -> float:
        """What ranks curves: the mean error over all laws that the curve may follow; for a law asked for, its error."""
        return self.cer(flops) if self.outlook is None else self.outlook.expected_error(flops)

    def ends(self, columns: Columns, level: float) -> Ends | None:
        """Lower and upper ends (k,) of the interval of the curve; None where the data do not determine it."""
        if self.outlook is not None:
            return self.outlook.ends(np.asarray(columns["C"], dtype=float), level)
        return None if self.fit is None or self.fit.dof < 1 else law_ends.curve_ends(self.fit, columns, level)

    def run_ends(self, columns: Columns, level: float) -> Ends | None:
        """Lower and upper ends (k,) of the interval of one new run, which holds the interval of the curve."""
        if self.outlook is not None:
            return self.outlook.run_ends(np.asarray(columns["C"], dtype=float), level)
        return None if self.fit is None or self.fit.dof < 1 else law_ends.run_ends(self.fit, columns, level, self.noise)

    def extrapolation(self, flops: float) -> float:
        """`flops` divided by the largest budget fitted."""
        return flops / self.largest_flops


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """All curves of one table, and the SHA-256 of the file of the table they were fitted to.

    `named` tells under which names the table held the law's columns, where not under their own. `set_aside` holds the
    lines of runs that were set aside before anything was averaged.
    """

    source_sha256: str
    law: str | None
    loss: str
    curves: tuple[Curve, ...]
    notes: tuple[Note, ...]
    named: Mapping[str, str] = field(default_factory=dict)
    set_aside: tuple[int, ...] = ()

    def used(self, table: Table) -> Table:
        """The table without the runs that were set aside."""
        return table.without({i for i, line in enumerate(table.lines) if line in self.set_aside})

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies fitted."""
        return tuple(dict.fromkeys(curve.strategy for curve in self.curves))

    @property
    def own_notes(self) -> list[tuple[Note, str]]:
        """Notes on single curves, each once, with the names of its curves; notes on the whole table are left out."""
        labels: dict[Note, list[str]] = {}
        for curve in self.curves:
            for note in dict.fromkeys(curve.warnings):
                if note not in self.notes:
                    labels.setdefault(note, []).append(curve.label)
        return [(note, self._whose(owners)) for note, owners in labels.items()]

    def _whose(self, labels: Sequence[str]) -> str:
        if len(labels) == len(self.curves) > 1:
            return "every curve"
        return (
            ", ".join(labels) if len(labels) <= NAMED else f"{', '.join(labels[:NAMED])} and {len(labels) - NAMED} more"
        )

    def of(self, strategy: str | None = None, encoder: str | None = None, llm: str | None = None) -> tuple[Curve, ...]:
        """Curves of a strategy and models, where given. Raises InputError for a name that none has."""
        chosen = self.curves
        for name, wanted in (("strategy", strategy), ("encoder", encoder), ("llm", llm)):
            if wanted is not None:
                refuse_unknown(name, wanted, [getattr(curve, name) for curve in chosen])
                chosen = tuple(curve for curve in chosen if getattr(curve, name) == wanted)
        return chosen

    def best(self, flops: float) -> Curve:
        """The curve with the lowest expected error at `flops`."""
        return lowest(self.curves, flops)

    def only(self, strategy: str | None = None, encoder: str | None = None, llm: str | None = None) -> Curve:
        """The one curve with these names. Raises InputError where several have them."""
        chosen = self.of(strategy, encoder, llm)
        if len(chosen) > 1:
            labels = ", ".join(curve.label for curve in chosen)
            raise InputError(f"which of {labels}? Give --strategy, --encoder or --llm")
        return chosen[0]


def lowest(curves: Sequence[Curve], flops: float) -> Curve:
    """The curve with the lowest expected error, see `rank`."""
    return min(curves, key=lambda curve: rank(curve, flops))


def rank(curve: Curve, flops: float) -> tuple[bool, float]:
    """The sort key of curves at `flops`, best first: by expected error. Uncertainty counts only as far as it raises the
    expected error. A curve that has no answer comes last.
    """
    return not curve.answers, curve.expected_error(flops)


def extrapolation_notes(curve: Curve, columns: Mapping[str, float]) -> list[Note]:
    """What to say about an answer at `columns`, given where the curve's points lie."""
    notes = []
    for name, (smallest, largest) in curve.domain.items():
        ratio = columns[name] / largest
        what = f"{name}={columns[name]:.4g}"
        if ratio > FAR:
            code = "extrapolation_100x" if ratio > VERY_FAR else "extrapolation_10x"
            tested = f"Forecasts of measured curves were tested up to {FAR:.0f} times."
            notes.append(Note(code, f"{what} is {ratio:.3g} times the largest fitted value. {tested}"))
        elif columns[name] < smallest:
            notes.append(Note("below_data", f"{what} lies below the smallest fitted value, {smallest:.4g}."))
        if name == "C" and curve.encoder and ratio > NOTICEABLE:
            message = f"All runs of {curve.label} have models of one size, to which more compute adds data alone."
            notes.append(Note("one_model_size", message))
    return notes + _repetition_notes(curve, columns)


def _repetition_notes(curve: Curve, columns: Mapping[str, float]) -> list[Note]:
    """A note where data would be repeated more often than in any run."""
    if curve.outlook is not None and curve.outlook.passes is not None:
        seen = curve.outlook.passes
        passes = seen * curve.extrapolation(columns["C"])
    elif curve.fit is not None and {"D", "U"} <= set(columns):
        passes, seen = columns["D"] / columns["U"], most_passes(curve.fit)
    else:
        return []
    if passes <= max(MANY_EPOCHS, seen):
        return []
    message = f"The answer needs {passes:.3g} passes over the same data, of which the runs made at most {seen:.3g}."
    return [Note("repeated_beyond_runs", message)]
