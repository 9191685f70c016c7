"""How the strategies of a study differ: against a baseline, in where their budgets go, at equal FLOPs and hours."""

from collections.abc import Mapping, Sequence

from analysis.comparing.comparison import Comparison, Savings
from analysis.comparing.currencies import disagreement
from analysis.comparing.equal_hours import hours_of_every_run, results_at_equal_hours
from analysis.curves.traces import PlottedPoint, models_text
from analysis.report.findings import USUAL_BASELINE, Findings
from analysis.report.page.blocks import NUMBER, bullets, figure, table
from analysis.report.page.html import Html, join, tag
from analysis.report.page.words import between, number, percent, percent_between, status_text
from analysis.report.palette import CURVE_STYLES


def comparison(findings: Findings) -> Html:
    """Strategies against the baseline."""
    title = tag("h2", "Strategies compared")
    if findings.baseline is None:
        return tag("section", title, tag("p", "One strategy was run: there is nothing to compare it with."))
    baseline = tag("b", findings.baseline)
    usual = "" if findings.baseline == USUAL_BASELINE else f" (the first of the study, which has no {USUAL_BASELINE})"
    by_model = "; in grey, other models for both" if any(_others(one) for one in findings.comparisons) else ""
    rows = [
        row
        for one in findings.comparisons
        for row in (_compared(findings, one), *(_compared(findings, pair, detail=True) for pair in _others(one)))
    ]
    header = ("strategy", "at FLOPs", "less CER at equal FLOPs", "", "fewer FLOPs at equal CER", "fits")
    return tag(
        "section",
        title,
        tag(
            "p", "Each strategy against ", baseline, usual, ", both with the models that serve them best", by_model, "."
        ),
        table(header, rows),
        bullets([line for one in findings.comparisons if (line := _judged(one, len(findings.comparisons)))]),
        _currencies(findings.comparisons),
        tag(
            "p",
            "Positive is better than the baseline. In brackets: 90 % intervals that carry both fits; one that holds "
            "zero does not tell the two apart. The line spans \u2212100 % to 100 %.",
            class_="quiet",
        ),
    )


def spending(findings: Findings) -> Html:
    """Where each strategy's budget goes."""
    bars = [part for strategy in findings.strategies for part in _bar(findings, strategy)]
    title = tag("h2", "Where the budget goes")
    if not bars:
        return tag("section", title, tag("p", "The table of runs does not say what its stages cost."))
    return tag(
        "section",
        title,
        tag("p", "Charged FLOPs by stage and the parts it trains, in each strategy's largest run."),
        tag("div", *bars, class_="stages"),
        _best_division(findings),
    )


def views(findings: Findings, drawings: Mapping[str, Html]) -> Html:
    """Equal FLOPs, and equal unique hours."""
    hours = drawings.get("cer_by_unique_hours")
    return tag(
        "section",
        tag("h2", "Equal FLOPs, equal audio"),
        tag("h3", "At equal FLOPs: measured CER"),
        _equal_flops(findings),
        tag("h3", "At equal unique hours"),
        _equal_hours(findings),
        figure(
            hours,
            "Figure 4. CER against audio heard at least once. Points above one another: the same audio again. "
            "Open: heard more than four times, where repetition starts to lose its worth.",
        )
        if hours
        else None,
    )


def _best_division(findings: Findings) -> Html | None:
    """Best sizes, hours and shares for the largest budget; None where the runs do not identify them."""
    advice, lines = findings.recommendation, []
    if (sizes := advice.sizes) is not None:
        for name, value, ends in (
            ("encoder parameters", sizes.encoder_params, sizes.encoder_params_interval),
            ("LLM parameters", sizes.llm_params, sizes.llm_params_interval),
            ("hours of audio", sizes.audio_hours, sizes.audio_hours_interval),
            ("CER", sizes.cer, sizes.cer_interval),
        ):
            lines.append(f"{name}: {number(value)} [{between(ends) if ends else 'the same in all runs'}]")
        lines += [note.message for note in sizes.warnings]
    if (shares := advice.shares) is not None:
        for name, share in shares.shares.items():
            lines.append(f"share of stage {name}: {percent(share)} [{percent_between(shares.intervals[name])}]")
        lines += [note.message for note in shares.warnings]
    if not lines:
        return None
    return join(tag("h3", f"Best division of {number(findings.largest_flops)} FLOPs"), bullets(lines))


def _compared(findings: Findings, one: Comparison, *, detail: bool = False) -> Html:
    ours, theirs = (models_text(curve.encoder, curve.llm) for curve in (one.curve, one.baseline))
    name = f"both with {ours}" if detail else one.curve.strategy
    pair = None if detail else tag("div", ours if ours == theirs else f"{ours}; baseline: {theirs}", class_="quiet")
    return tag(
        "tr",
        tag("td", name, pair),
        tag("td", number(one.flops), class_=NUMBER),
        tag("td", _share(one.cer_reduction, one.cer_reduction_interval), class_="whole"),
        tag("td", _whisker(one.cer_reduction, one.cer_reduction_interval, _look(findings, one.curve.strategy))),
        tag("td", _share(one.flops_saved, one.flops_saved_interval), class_="whole"),
        tag("td", status_text(one.status), class_="whole"),
        class_="detail" if detail else None,
    )


def _share(value: float | None, ends: tuple[float, float] | None) -> str:
    return "not reached" if value is None else f"{percent(value)} [{percent_between(ends)}]"


def _others(one: Comparison) -> list[Comparison]:
    """The comparisons with equal models that `one` itself is not."""
    return [pair for pair in one.by_model if pair.curve is not one.curve or pair.baseline is not one.baseline]


def _look(findings: Findings, strategy: str) -> str:
    """The class that describes_its_runs a strategy's colour."""
    return f"s{findings.strategies.index(strategy) % len(CURVE_STYLES)}"


def _judged(one: Comparison, compared: int) -> str | None:
    """At which budgets a strategy is better or worse, and what holds for all strategies together."""
    if one.details is None:
        return None
    found, other = one.details, one.baseline.strategy
    said = [
        f"{word} than {other} at {between(ends)} FLOPs"
        for word, ends in (("better", found.better_between), ("worse", found.worse_between))
        if ends is not None
    ]
    judged = " and ".join(said) or f"not told from {other} at any budget"
    line = f"{one.curve.label}: with 95 %, {judged}"
    if found.crossings:
        line += f"; the curves cross at {', '.join(number(flops) for flops in found.crossings)}"
    if compared > 1:
        line += f"; the 90 % interval that holds for the {compared} comparisons at once is "
        line += f"{percent_between(one.details.cer_reduction_simultaneous_interval)} less CER"
    return f"{line}."


def _currencies(comparisons: Sequence[Comparison]) -> Html | None:
    """The gains by each kind of FLOPs; None where the runs recorded only one."""
    counted = [
        (one, one.details.currencies) for one in comparisons if one.details is not None and one.details.currencies
    ]
    if not counted:
        return None
    named = {gain.currency: gain.currency_name for _, gains in counted for gain in gains}
    rows = [
        tag(
            "tr",
            tag("td", one.curve.label),
            *(tag("td", _gain(gains, currency), class_="whole") for currency in named),
        )
        for one, gains in counted
    ]
    findings = [note.message for one, gains in counted for note in disagreement(gains)]
    return join(
        tag("h3", "By what is counted"),
        tag("p", "Less CER than the baseline at equal FLOPs, by each kind of FLOPs that the runs recorded."),
        table(("strategy", *(f"{name} FLOPs" for name in named.values())), rows),
        bullets(findings),
    )


def _gain(gains: Sequence[Savings], currency: str) -> str:
    shares = [_share(gain.cer_reduction, gain.cer_reduction_interval) for gain in gains if gain.currency == currency]
    return shares[0] if shares else "not recorded"


def _whisker(value: float | None, ends: tuple[float, float] | None, look: str) -> Html | None:
    """A share and its interval on a line from -100 % to 100 %, zero marked."""
    if value is None or ends is None:
        return None
    low, middle, high = (50.0 + 50.0 * min(max(share, -1.0), 1.0) for share in (ends[0], value, ends[1]))
    return tag(
        "span",
        tag("i", style="left:50%"),
        tag("b", style=f"left:{low:.1f}%;width:{high - low:.1f}%"),
        tag("u", style=f"left:{middle:.1f}%"),
        class_=f"range {look}",
    )


def _bar(findings: Findings, strategy: str) -> list[Html]:
    """The name of a strategy and the stages of its largest run as a bar."""
    points = [point for trace in findings.of(strategy) for point in trace.points]
    rows = [findings.table.rows[i] for point in points for i in point.mean.rows]
    staged = [row for row in rows if row.get("stages")]
    if not staged:
        return []
    stages = max(staged, key=lambda row: float(row["flops"]))["stages"]
    total = sum(float(stage["flops"]) for stage in stages) or 1.0
    parts = []
    for stage in stages:
        share = float(stage["flops"]) / total
        trained = ", ".join(str(part).replace("_", " ") for part in stage.get("trains", {}))
        text = f"{stage['name']} {100.0 * share:.0f} %"
        title = f"{text}: {number(float(stage['flops']))} FLOPs; trains {trained or 'unknown parts'}"
        parts.append(tag("span", text, style=f"width:{100.0 * share:.2f}%", title=title))
    look = _look(findings, strategy)
    key = "; ".join(
        f"{stage['name']}: {', '.join(str(part).replace('_', ' ') for part in stage.get('trains', {}))}"
        for stage in stages
        if stage.get("trains")
    )
    return [
        tag("div", tag("b", strategy)),
        tag("div", tag("div", *parts, class_=f"bar {look}"), tag("div", key, class_="quiet")),
    ]


def _equal_flops(findings: Findings) -> Html:
    """Measured CER, a column for each budget and the lowest of each marked."""
    measured = [{_budget(findings, point): point.mean.cer for point in trace.points} for trace in findings.traces]
    budgets = sorted({budget for row in measured for budget in row})
    lowest = {budget: min(row[budget] for row in measured if budget in row) for budget in budgets}
    rows = [
        tag(
            "tr",
            tag("td", trace.curve.label),
            *(
                tag("td", number(row.get(budget)), class_=NUMBER + " lowest" * (row.get(budget) == lowest[budget]))
                for budget in budgets
            ),
        )
        for trace, row in zip(findings.traces, measured, strict=True)
    ]
    return table(("strategy and models", *(number(budget) for budget in budgets)), rows, numbers_from=1)


def _budget(findings: Findings, point: PlottedPoint) -> float:
    budget = findings.table.number(point.mean.rows[0], "budget_flops")
    return point.mean.flops if budget != budget else budget


def _equal_hours(findings: Findings) -> Html:
    if (same := hours_of_every_run(findings.traces)) is not None:
        return tag("p", f"Every run heard the same {number(same)} hours: equal FLOPs are equal audio here.")
    compared = results_at_equal_hours(findings.traces)
    if not compared:
        return tag("p", "The table of runs does not say how much different audio each run heard.")
    rows = [
        tag(
            "tr",
            tag("td", one.trace.curve.label),
            tag("td", number(one.cer), class_=NUMBER),
            tag("td", number(one.flops), class_=NUMBER),
            tag("td", number(one.passes), class_=NUMBER),
        )
        for one in compared
    ]
    return join(
        tag(
            "p",
            f"After {number(compared[0].hours)} hours of different audio, the most that all have heard; between "
            "budgets interpolated from measured runs.",
        ),
        table(("strategy and models", "CER", "FLOPs", "passes over the audio"), rows, numbers_from=1),
    )
