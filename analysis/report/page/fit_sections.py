"""What the fitted laws say: error against compute, runs by size, parameters and residuals, and every doubt."""

from collections.abc import Mapping

from analysis.curves.curves import Curve
from analysis.report.findings import Findings
from analysis.report.page.blocks import NUMBER, bullets, figure, table
from analysis.report.page.html import Html, tag
from analysis.report.page.words import number, percent, status_text


def by_flops(findings: Findings, drawings: Mapping[str, Html]) -> Html:
    """Figure 1, with the budget that answers."""
    reasons = [trace.reason for trace in findings.traces if trace.reason]
    header = tag("tr", *(tag("th", text) for text in ("strategy and models", "CER", "new run, 90 %", "reach")))
    ask = tag(
        "div",
        tag("label", "FLOPs to spend ", tag("input", type="text", id="budget-flops", inputmode="decimal")),
        tag("input", type="range", id="budget-slider", min=0, aria_label="FLOPs to spend"),
        tag("div", tag("table", tag("thead", header), tag("tbody", id="answers")), class_="wide"),
        class_="ask",
        data_needs_script=True,
        hidden=True,
    )
    controls = tag(
        "div",
        tag("span", id="strategies"),
        tag("label", "models ", tag("select", id="models")),
        class_="controls",
        data_needs_script=True,
        hidden=True,
    )
    caption = (
        "Figure 1. Points: measured, seeds averaged, with the range of the seeds; open: set aside as a gross outlier. "
        "Lines: fitted laws; shaded: their 90 % intervals if the law holds. Dashed: beyond the runs, an extrapolation."
    )
    if findings.forecasts:
        caption += " Star: a run that no fit has seen; its whiskers: the 90 % interval predicted for it."
    return tag(
        "section",
        tag("h2", "Error against compute"),
        tag(
            "figure",
            controls,
            tag("div", drawings["cer_by_flops"], id="plot", class_="drawing wide"),
            ask,
            tag("figcaption", caption),
        ),
        bullets(reasons),
    )


def by_model_size(drawings: Mapping[str, Html]) -> Html:
    """Figure 2."""
    drawing = drawings.get("cer_by_model_size")
    nothing = "One size of models, or their parameters are not recorded: the runs cannot say which size pays."
    caption = "Figure 2. Runs by model size, one line a budget; a line that falls says that the larger models pay."
    return tag(
        "section",
        tag("h2", "Which size for which budget"),
        figure(drawing, caption) if drawing else tag("p", nothing),
    )


def fits(findings: Findings, drawings: Mapping[str, Html]) -> Html:
    """The laws, how far they are trusted, and what they leave over."""
    formulas = dict.fromkeys(
        f"{curve.fit.law.name}: {curve.fit.law.formula}" for curve in findings.curves.curves if curve.fit is not None
    )
    header = ("strategy and models", "law", "parameters", "points", "starts", "misses by", "widened by", "fit")
    residuals = drawings.get("residuals")
    return tag(
        "section",
        tag("h2", "The fitted laws"),
        table(header, [_fitted(trace.curve) for trace in findings.traces]),
        tag(
            "p",
            *(Html(f"{tag('code', formula)}. ") for formula in formulas),
            "C is charged FLOPs. Starts: how many of the search ended at this law. Misses by: root mean square of the "
            "residuals. Widened by: how much longer the calibrated interval of ",
            tag("code", "predict"),
            " is, judged by how the law forecast its own larger budgets from the smaller ones.",
            class_="quiet",
        ),
        figure(residuals, "Figure 3. Residuals; a bow instead of a cloud says that the law has the wrong form.")
        if residuals
        else None,
    )


def warnings(findings: Findings) -> Html:
    """All that should make one doubt, in words."""
    curves = findings.curves.curves
    owners: dict[str, list[str]] = {}
    for curve in curves:
        for note in curve.warnings:
            owners.setdefault(note.message, []).append(curve.label)
    lines = [f"{note.message}." for note in findings.notes]
    for message, labels in owners.items():
        lines.append(f"{'Every curve' if len(labels) == len(curves) > 1 else ', '.join(labels)}: {message}.")
    compared = (note.message for one in findings.comparisons for note in one.warnings)
    lines += [f"{message}." for message in dict.fromkeys(compared) if message not in owners]
    return tag("section", tag("h2", "Warnings"), bullets(lines) or tag("p", "None."))


def _fitted(curve: Curve) -> Html:
    fit = curve.fit
    theta = "" if fit is None else ", ".join(f"{name} = {number(value)}" for name, value in fit.theta.items())
    miss = None if fit is None else _miss(curve)
    factor = "" if curve.calibration is None else f"{number(curve.calibration.factor)}x"
    return tag(
        "tr",
        tag("td", curve.label),
        tag("td", "none" if fit is None else fit.law.name),
        tag("td", theta, class_="whole"),
        tag("td", str(0 if fit is None else fit.n), class_=NUMBER),
        tag("td", "" if fit is None else f"{fit.starts_agreeing} of {fit.starts}", class_=NUMBER),
        tag("td", percent(miss), class_=NUMBER),
        tag("td", factor, class_=NUMBER),
        tag("td", status_text(curve.status), class_="whole"),
    )


def _miss(curve: Curve) -> float | None:
    """The root mean square of measured over fitted, less one."""
    if curve.fit is None:
        return None
    fitted = curve.fit.predict(curve.fit.columns)
    return float((((curve.fit.y / fitted) - 1.0) ** 2).mean() ** 0.5)
