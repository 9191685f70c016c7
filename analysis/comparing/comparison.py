"""What is known of two strategies held against each other, and how `compare --json` prints it."""

from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from analysis.curves.curves import Curve
from analysis.fitting.intervals import Interval
from analysis.notes import Note, Status, as_text
from analysis.tables.usable_rows import FLOPS
from scaling.scoring.interval import LEVEL

CURRENCIES = {FLOPS: "charged", "executed_flops": "executed", "cache_credited_flops": "cache-credited"}
"""The kinds of FLOPs in a table of runs, by column, and what each is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a strategy saves at `flops`, as shares: 0.1 is a tenth less error, or a tenth fewer FLOPs.

    None: the fits do not say. A lower end of `flops_saved` of minus infinity: the strategy may never reach that error.
    """

    flops: float
    cer_reduction: float | None
    cer_reduction_interval: Interval | None
    flops_saved: float | None
    flops_saved_interval: Interval | None

    @property
    def saved(self) -> dict[str, Any]:
        """The shares and where they hold, by name."""
        return {each.name: getattr(self, each.name) for each in fields(Saved)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings(Saved):
    """What a strategy saves where FLOPs are counted in `currency`, a column of `CURRENCIES`."""

    currency: str

    @property
    def currency_name(self) -> str:
        """The currency in words."""
        return CURRENCIES[self.currency]


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualHours:
    """What a strategy and its baseline scored after `hours` of different audio, and what FLOPs each had cost by then:
    measured, or interpolated between measured runs. `cer_reduction` is a share.
    """

    hours: float
    cer: float
    baseline_cer: float
    cer_reduction: float
    flops: float
    baseline_flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonDetails:
    """What else is known of a comparison, by the keys that it adds to `compare --json`. None or empty: not known.

    The simultaneous interval of the reduction holds for all strategies compared together (Sidak). `pair_correlation` is
    the correlation of paired runs. `better_between` and `worse_between` are the budgets at which the strategy has the
    lower or the higher error with 95 % each; the curves meet at `crossings`. `cer_reduction_one_floor` is the reduction
    where both laws share one floor, `cer_reduction_test_sampling` the standard deviation that another test of the same
    kind adds to it. `currencies` holds the savings by each kind of FLOPs that the runs recorded, charged FLOPs first.
    `equal_unique_hours` is None where all runs heard the same audio.
    """

    cer_reduction_simultaneous_interval: Interval
    pair_correlation: float
    better_between: Interval | None
    worse_between: Interval | None
    crossings: tuple[float, ...]
    cer_reduction_one_floor: float | None
    cer_reduction_test_sampling: float | None
    currencies: tuple[Savings, ...]
    equal_unique_hours: EqualHours | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Saved):
    """What `curve` saves against `baseline`."""

    curve: Curve
    baseline: Curve
    by_model: tuple["Comparison", ...]
    details: ComparisonDetails | None
    warnings: tuple[Note, ...]

    @property
    def status(self) -> Status:
        """The worse of both fits' statuses."""
        return max(self.curve.status, self.baseline.status, key=get_args(Status).index)

    @property
    def other_pairs(self) -> list["Comparison"]:
        """The comparisons with equal models on both sides, without this one."""
        return [pair for pair in self.by_model if pair.curve is not self.curve or pair.baseline is not self.baseline]

    def as_dict(self) -> dict[str, object]:
        """The comparison as `compare --json` prints it."""
        document: dict[str, object] = {
            **self.curve.names,
            "baseline": self.baseline.strategy,
            "baseline_encoder": self.baseline.encoder,
            "baseline_llm": self.baseline.llm,
            **self.saved,
            "level": LEVEL,
            "extrapolation": max(self.curve.extrapolation(self.flops), self.baseline.extrapolation(self.flops)),
            "status": self.status,
            "warnings": as_text(self.warnings),
        }
        if self.details is not None:
            document.update(asdict(self.details))
        if self.by_model:
            document["by_model"] = [comparison.as_dict() for comparison in self.by_model]
        return document
