"""One self-contained HTML page: it asks nothing of the network, works from disk, and shows the figures that papers get
where scripts do not run.

The templates hold the markup and the wording; values come from the findings of a study. Every text is escaped but the
page's own style sheet, script and figures. A content security policy lets only the page's own script run, by its hash.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.comparing.equal_hours import hours_of_every_run, results_at_equal_hours
from analysis.curves.curves import Curve
from analysis.curves.traces import describes_its_runs, models_text
from analysis.formatting import between, number, percent
from analysis.glossary import STATUS_IN_WORDS
from analysis.report.findings import USUAL_BASELINE, Findings
from analysis.report.page import runs, strategies
from analysis.report.page.chart_data import chart, other_tests
from analysis.report.page.inline_svg import inline
from analysis.report.palette import CURVE_STYLES, CurveStyle, budget_styles
from analysis.report.transcript_examples import Example
from analysis.warnings_text import called

FOLDER = Path(__file__).parent
STYLES = ("page", "figure", "phone")
SCRIPTS = (
    "numbers", "nodes", "state", "laws", "units", "scales", "plot", "hover", "answers", "downloads", "tables",
    "controls",
)  # fmt: skip
"""Style sheets and scripts in the order in which they stand in the page."""
ALTERNATIVE_TEXTS = {
    "cer_by_flops": "CER against charged FLOPs, by strategy and models",
    "cer_by_model_size": "CER against the models' size, by strategy and budget",
    "cer_by_unique_hours": "CER against unique hours of audio, by strategy and models",
    "residuals": "Residuals of the fits against FLOPs",
    "learning_curves": "Dev CER or training loss of each run against the FLOPs charged so far",
}
"""What each figure shows, for those who cannot see it."""


def page(
    findings: Findings,
    svgs: Mapping[str, tuple[str, str]],
    beside: Sequence[Findings] = (),
    examples: Sequence[Example] = (),
) -> str:
    """The page; `svgs` holds each figure by name, wide and narrow; curves of studies `beside` are drawn with it."""
    script = '"use strict";\n(() => {\n' + _assets("scripts", SCRIPTS, "js") + "})();"
    budgets = budget_styles(len(findings.budgets))
    prediction = findings.recommendation.prediction
    return (
        _environment()
        .get_template("page.html")
        .render(
            findings=findings,
            examples=examples,
            error=findings.error_name,
            drawings={
                name: _drawing(called(ALTERNATIVE_TEXTS[name], findings.error_name), both, budgets)
                for name, both in svgs.items()
            },
            chart=chart(findings, beside),
            beside=beside,
            other_tests=other_tests(findings, beside),
            script=Markup(script),
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style_sheet=Markup(_assets("styles", STYLES, "css")),
            curve_styles=CURVE_STYLES,
            budget_styles=budgets,
            colour_classes={name: f"s{i % len(CURVE_STYLES)}" for i, name in enumerate(findings.strategies)},
            nameless=not any(row.get("strategy") for row in findings.table.rows),
            simulated=runs.simulated(findings.table.rows),
            prediction_describes_runs=prediction is not None
            and prediction.cer is not None
            and describes_its_runs(prediction.curve),
            best_point=min(
                (point.mean for trace in findings.traces for point in trace.points), key=lambda point: point.cer
            ),
            usual_baseline=USUAL_BASELINE,
            judgements=strategies.judgements(findings.comparisons),
            at_once=strategies.at_once(findings.comparisons),
            currencies=strategies.currencies(findings.comparisons),
            whisker_places=strategies.whisker_places,
            stage_bars=strategies.stage_bars(findings),
            equal_flops=strategies.equal_flops(findings),
            hours_of_every_run=hours_of_every_run(findings.traces),
            results_at_equal_hours=results_at_equal_hours(findings.traces),
            warnings=_warnings(findings),
            facts=runs.facts(findings),
            run_table=runs.run_table(findings.table.rows, findings.error_name, {*findings.curves.named.values()}),
        )
    )


def _assets(folder: str, names: Sequence[str], suffix: str) -> str:
    return "".join((FOLDER / "assets" / folder / f"{name}.{suffix}").read_text(encoding="utf-8") for name in names)


def _drawing(shown: str, both: tuple[str, str], budgets: Sequence[CurveStyle]) -> Markup:
    """A figure of what `shown` says, as wide as a page, and as a column for a phone; the style sheet shows one."""
    wide, narrow = (inline(svg, shown, budgets) for svg in both)
    return Markup('<div class="on-desk">{}</div><div class="on-phone">{}</div>').format(wide, narrow)


@cache
def _environment() -> Environment:
    """The templates, with filters that write numbers as a page does; names are text wherever they stand."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "number": partial(number, digits=3, typeset=True),
        "percent": partial(percent, typeset=True),
        "between": partial(between, typeset=True),
        "percent_between": partial(between, as_percent=True, typeset=True),
        "status": STATUS_IN_WORDS.__getitem__,
        "models": lambda curve: models_text(curve.encoder, curve.llm),
        "reach": _reach,
        "miss": _miss,
    }
    return environment


def _warnings(findings: Findings) -> list[str]:
    """Warnings of table, curves and comparisons, as sentences; one of several curves is given once, with names."""
    own = findings.curves.own_notes
    lines = [note.text for note in findings.notes]
    lines += [f"{'Every curve' if whose == 'every curve' else whose}: {note.text}" for note, whose in own]
    known = {*findings.notes, *(note for note, _ in own)}
    compared = dict.fromkeys(note for comparison in findings.comparisons for note in comparison.warnings)
    lines += [note.text for note in compared if note not in known]
    return [called(line, findings.error_name) for line in lines]


def _reach(extrapolation: float) -> str:
    """How far an answer lies beyond the runs. A budget is met within a step, so half a per cent does not count."""
    within = extrapolation <= 1.005
    return "within the runs" if within else f"{number(extrapolation, 2, typeset=True)} times the largest run"


def _miss(curve: Curve) -> float | None:
    """The root mean square of measured over fitted error, less one; None without a fit."""
    if curve.fit is None:
        return None
    return float((((curve.fit.y / curve.fit.predict(curve.fit.columns)) - 1.0) ** 2).mean() ** 0.5)
