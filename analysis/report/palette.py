"""The colours of figures and page, and how strategies are told apart: by colour and by mark."""

from dataclasses import dataclass

INK, RULE, PAPER = "#1b1b1e", "#dcdce2", "#fffffe"
"""Text, grid and ground of a figure on white; a page replaces them by its own, light and dark."""


@dataclass(frozen=True, slots=True)
class CurveStyle:
    """A colour on white, the same hue on black, and a mark (a name that matplotlib knows)."""

    light: str
    dark: str
    mark: str


CURVE_STYLES = (
    CurveStyle("#0072b2", "#56a8e0", "o"),
    CurveStyle("#d55e00", "#f08a45", "s"),
    CurveStyle("#009e73", "#35c79b", "^"),
    CurveStyle("#b0508a", "#e093c0", "D"),
    CurveStyle("#b07800", "#e8b13c", "v"),
    CurveStyle("#5b5bd6", "#9b9bf5", "P"),
    CurveStyle("#6b4e3d", "#c9a48d", "X"),
    CurveStyle("#5c6168", "#b4b8bf", "<"),
)
"""Hues of Okabe and Ito (2008), which the colour-blind tell apart, darkened where they are pale on white.
There are as many as preset strategies; with more strategies, styles are used again.
"""


def curve_style(index: int) -> CurveStyle:
    """The style of the strategy at `index` in the order of the study."""
    return CURVE_STYLES[index % len(CURVE_STYLES)]
