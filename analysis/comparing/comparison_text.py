"""A comparison as `compare` prints it in a terminal."""

from collections.abc import Sequence

from analysis.comparing.comparison import Comparison, ComparisonDetails
from analysis.formatting import between, label_cell, listed, number, percent, share_cell
from analysis.glossary import STATUS_IN_WORDS
from analysis.warnings_text import warnings_text
from scaling.system.text_table import text_table


def comparisons_text(comparisons: Sequence[Comparison], error: str = "CER") -> str:
    """What is saved of FLOPs and of the error: a line for each strategy's best models, then for each other pair."""
    pairs = [pair for comparison in comparisons for pair in (comparison, *comparison.other_pairs)]
    alike = all((one.curve.encoder, one.curve.llm) == (one.baseline.encoder, one.baseline.llm) for one in pairs)
    rows = [
        [
            label_cell(pair.curve.label),
            *([] if alike else [label_cell(pair.baseline.label)]),
            number(pair.flops),
            share_cell(pair.cer_reduction, pair.cer_reduction_interval),
            share_cell(pair.flops_saved, pair.flops_saved_interval),
            STATUS_IN_WORDS[pair.status],
        ]
        for pair in pairs
    ]
    header = ["strategy", *([] if alike else ["baseline"]), "FLOPs", f"{error} saved", "FLOPs saved", "status"]
    models = " with the same models" if alike and pairs and pairs[0].curve.encoder else ""
    lines = [f"against {pairs[0].baseline.strategy}{models}, with 90% intervals", text_table(header, rows)]
    lines += [line for comparison in comparisons for line in _detail_lines(comparison, error, among=len(comparisons))]
    curves = {curve.identity: curve for pair in pairs for curve in (pair.curve, pair.baseline)}
    return "\n".join(lines) + warnings_text((note for pair in pairs for note in pair.warnings), curves.values(), error)


def _detail_lines(comparison: Comparison, error: str, among: int) -> list[str]:
    """Where a strategy is ahead, and what it saves where something else than charged FLOPs is equal."""
    details, own, other = comparison.details, comparison.curve.strategy, comparison.baseline.strategy
    if details is None:
        return []
    lines = [f"{own} against {other}:"]
    for word, ends in (("lower", details.better_between), ("higher", details.worse_between)):
        if ends is not None:
            lines.append(f"{own} has the {word} {error} {_where(*ends)}, with a probability of 95% or more")
    if details.crossings:
        lines.append(f"the curves cross at {listed([number(flops, 3) for flops in details.crossings])} FLOPs")
    lines += _equal_lines(details, error)
    if among > 1:
        simultaneous = between(details.cer_reduction_simultaneous_interval, as_percent=True)
        lines.append(f"90% interval of {error} saved that holds for all {among} strategies at once: {simultaneous}")
    if details.cer_reduction_one_floor is not None:
        lines.append(f"with one floor for both laws: {error} saved {percent(details.cer_reduction_one_floor)}")
    if details.cer_reduction_test_sampling is not None:
        moved = percent(details.cer_reduction_test_sampling)
        lines.append(f"another test set of this kind would move {error} saved by {moved} (one standard deviation)")
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def _where(low: float, high: float) -> str:
    """A stretch of budgets in words.

    >>> _where(2.5e10, 2.9e11), _where(9.951e11, 9.952e11)
    ('from 2.5e+10 to 2.9e+11 FLOPs', 'at 9.95e+11 FLOPs')
    """
    first, last = number(low, 3), number(high, 3)
    return f"at {first} FLOPs" if first == last else f"from {first} to {last} FLOPs"


def _equal_lines(details: ComparisonDetails, error: str) -> list[str]:
    """What is saved where another kind of FLOPs, or the audio, is equal."""
    lines = [
        f"at {number(savings.flops)} {savings.currency_name} FLOPs for both: {error} saved "
        + share_cell(savings.cer_reduction, savings.cer_reduction_interval)
        for savings in details.currencies[1:]
    ]
    if (equal := details.equal_unique_hours) is not None:
        spent = f"for {number(equal.flops)} against {number(equal.baseline_flops)} FLOPs"
        saved = f"{error} saved {percent(equal.cer_reduction)} (measured, {spent})"
        lines.append(f"at {number(equal.hours, 3)} hours of different audio for both: {saved}")
    return lines
