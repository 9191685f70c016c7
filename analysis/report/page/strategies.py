"""Values for the sections of the page about strategies: comparisons, stages, equal FLOPs."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.comparing.comparison import Comparison, ComparisonDetails, Savings
from analysis.comparing.currencies import disagreement
from analysis.fitting.intervals import Interval
from analysis.formatting import between, number
from analysis.report.findings import Findings
from analysis.tables.table import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyTable:
    """What each comparison saves by each kind of FLOPs, None where its runs did not record that kind."""

    header: list[str]
    comparisons: list[tuple[Comparison, list[Savings | None]]]
    disagreements: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualFlopsTable:
    """The measured CER of each curve by budget, and the lowest at each budget."""

    budgets: list[float]
    cers: dict[str, dict[float, float]]
    lowest: dict[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A stage with its share of the FLOPs of the run, and the parts that it trains, in words."""

    name: str
    flops: float
    share: float
    trains: str


def judgements(comparisons: Sequence[Comparison]) -> list[str]:
    """A sentence a comparison: at which budgets the strategy is better or worse."""
    return [_judgement(comparison, comparison.details) for comparison in comparisons if comparison.details is not None]


def at_once(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Intervals of less CER that hold for all comparisons at once, by strategy and models; empty for a single one."""
    if len(comparisons) < 2:
        return {}
    return {
        comparison.curve.label: between(
            comparison.details.cer_reduction_simultaneous_interval, as_percent=True, typeset=True
        )
        for comparison in comparisons
        if comparison.details is not None
    }


def currencies(comparisons: Sequence[Comparison]) -> CurrencyTable:
    """The savings by each kind of FLOPs; empty where the runs recorded only one kind."""
    savings_of = [
        (comparison, {savings.currency: savings for savings in comparison.details.currencies})
        for comparison in comparisons
        if comparison.details is not None and comparison.details.currencies
    ]
    names = {name: savings.currency_name for _, each in savings_of for name, savings in each.items()}
    return CurrencyTable(
        header=[f"{name} FLOPs" for name in names.values()],
        comparisons=[(comparison, [each.get(currency) for currency in names]) for comparison, each in savings_of],
        disagreements=[note.message for _, each in savings_of for note in disagreement(list(each.values()))],
    )


def whisker_places(value: float, interval: Interval) -> tuple[float, float, float]:
    """Where a lower end, a share and an upper end lie on a line from -100 % to 100 %, in percent of its length."""
    low, middle, high = (50.0 + 50.0 * min(max(share, -1.0), 1.0) for share in (interval[0], value, interval[1]))
    return low, middle, high


def equal_flops(findings: Findings) -> EqualFlopsTable:
    """Measured CER at equal FLOPs."""
    cers = {
        trace.curve.label: {findings.budget(point): point.mean.cer for point in trace.points}
        for trace in findings.traces
    }
    budgets = sorted({budget for by_budget in cers.values() for budget in by_budget})
    lowest = {
        budget: min(by_budget[budget] for by_budget in cers.values() if budget in by_budget) for budget in budgets
    }
    return EqualFlopsTable(budgets=budgets, cers=cers, lowest=lowest)


def stage_bars(findings: Findings) -> dict[str, list[StageRow]]:
    """The stages of the largest run of each strategy whose runs recorded stages."""
    bars = {}
    for strategy in findings.strategies:
        points = [point.mean for trace in findings.of(strategy) for point in trace.points]
        rows = [findings.table.rows[i] for point in points for i in point.rows]
        if with_stages := [row for row in rows if row.get("stages")]:
            bars[strategy] = _stages(max(with_stages, key=lambda row: float(row["flops"])))
    return bars


def _judgement(comparison: Comparison, details: ComparisonDetails) -> str:
    baseline = comparison.baseline.strategy
    ranges = [
        f"{word} than {baseline} at {between(ends, typeset=True)} FLOPs"
        for word, ends in (("better", details.better_between), ("worse", details.worse_between))
        if ends is not None
    ]
    judged = " and ".join(ranges) or f"not told from {baseline} at any budget"
    sentence = f"{comparison.curve.label}: with 95 %, {judged}"
    if details.crossings:
        sentence += f"; the curves cross at {', '.join(number(flops, 3, typeset=True) for flops in details.crossings)}"
    return f"{sentence}."


def _stages(row: Row) -> list[StageRow]:
    total = sum(float(stage["flops"]) for stage in row["stages"]) or 1.0
    return [
        StageRow(
            name=stage["name"],
            flops=float(stage["flops"]),
            share=float(stage["flops"]) / total,
            trains=", ".join(str(part).replace("_", " ") for part in stage.get("trains", {})),
        )
        for stage in row["stages"]
    ]
