"""A figure's SVG as part of a page: its text takes the page's font, its colours follow light and dark."""

import html
import re
from collections.abc import Sequence

from markupsafe import Markup

from analysis.report.palette import CURVE_STYLES, INK, PAPER, RULE, CurveStyle

_REFERRED = re.compile(r"(?:url\(#|href=\"#)([^)\"]+)")
_IDENTITY = re.compile(r' id="([^"]*)"')


def inline(svg: str, label: str, budgets: Sequence[CurveStyle] = ()) -> Markup:
    """A figure, as `analysis.report.figures` wrote it, for a page; `label` says what it shows to those who cannot see
    it. The colours of `budgets` become the variables --q0, --q1 and so on, as those of strategies become --s0.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # Rules of a style sheet would reach the whole page.
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    referred = set(_REFERRED.findall(body))
    body = _IDENTITY.sub(lambda match: match.group(0) if match.group(1) in referred else "", body)
    variables = _VARIABLES | {style.light: f"q{k}" for k, style in enumerate(budgets)}
    for colour, variable in variables.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r">\s+<", "><", body)
    # A height in points would keep the figure from shrinking with the page; viewBox keeps its shape.
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    return Markup(body.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1))


_VARIABLES = {INK: "ink", RULE: "rule", PAPER: "paper"} | {style.light: f"s{i}" for i, style in enumerate(CURVE_STYLES)}
