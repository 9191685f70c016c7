"""One self-contained HTML page: it asks nothing of the network, works from disk, and without scripts shows the figures
that papers get.

A content security policy lets only the page's own script run, by its hash: whatever a name in the data says.
"""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files

from analysis.report.findings import Findings
from analysis.report.page import about
from analysis.report.page import fit_sections as laws
from analysis.report.page import strategy_sections as strategies
from analysis.report.page.answer import answer
from analysis.report.page.chart_data import chart
from analysis.report.page.html import Html, join, json_block, tag
from analysis.report.page.inline_svg import inline
from analysis.report.palette import CURVE_STYLES

SHOWN = {
    "cer_by_flops": "CER against charged FLOPs, by strategy and models",
    "cer_by_model_size": "CER against the models' size, by strategy and budget",
    "cer_by_unique_hours": "CER against unique hours of audio, by strategy and models",
    "residuals": "Residuals of the fits against FLOPs",
}
"""What each figure shows, for those who cannot see it."""


def page(findings: Findings, svgs: Mapping[str, str]) -> str:
    """The page; `svgs` holds the figures by name."""
    drawings = {name: inline(svg, SHOWN[name]) for name, svg in svgs.items()}
    script, style = _asset("report.js"), _style()
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("title", f"{findings.name}: error against compute"),
        tag("style", Html(style)),
    )
    body = tag(
        "body",
        tag(
            "main",
            answer(findings),
            laws.by_flops(findings, drawings),
            laws.by_model_size(drawings),
            strategies.comparison(findings),
            strategies.spending(findings),
            laws.fits(findings, drawings),
            strategies.views(findings, drawings),
            laws.warnings(findings),
            about.definitions(findings),
            about.runs(findings),
        ),
        json_block("study", chart(findings)),
        tag("script", Html(script)),
    )
    return join(Html("<!doctype html>\n"), tag("html", head, body, lang="en"), Html("\n"))


def _asset(name: str) -> str:
    return (files("analysis.report.page") / "assets" / name).read_text(encoding="utf-8")


def _style() -> str:
    """The style sheet with the strategies' colours, light and dark."""
    light, dark = (
        " ".join(f"--s{i}: {getattr(look, side)};" for i, look in enumerate(CURVE_STYLES)) for side in ("light", "dark")
    )
    classes = "\n".join(f".s{i} {{ --c: var(--s{i}); }}" for i in range(len(CURVE_STYLES)))
    sheet = _asset("report.css").replace("/* looks, light */", light).replace("/* looks, dark */", dark)
    return f"{sheet}{classes}\n"


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
