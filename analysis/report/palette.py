"""The colours of figures and page, and how strategies are told apart: by colour and by mark."""

from dataclasses import dataclass

INK, RULE, PAPER = "#1b1b1e", "#dcdce2", "#fffffe"
"""Text, grid and ground of a figure on white; a page replaces them by its own, light and dark."""


@dataclass(frozen=True, slots=True)
class CurveStyle:
    """A colour on white, the same hue on black, and a mark (a name that matplotlib knows)."""

    light: str
    dark: str
    mark: str = "."


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


BUDGETS = (
    ("#46327e", "#a99cf0"),
    ("#365c8d", "#7fb2ea"),
    ("#207583", "#4fc8d6"),
    ("#197a52", "#5fdc9a"),
    ("#647300", "#d4e157"),
)
"""Hues from the smallest budget to the largest, on white and on black: those of viridis, darkened or made pale, so that
each stands out from its ground by a contrast of three and more.
"""


def budget_styles(count: int) -> list[CurveStyle]:
    """Styles for `count` budgets, smallest first."""
    return [
        CurveStyle(*(_blend([pair[ground] for pair in BUDGETS], k / max(count - 1, 1)) for ground in (0, 1)))
        for k in range(count)
    ]


def _blend(colours: list[str], place: float) -> str:
    """The colour at `place`, from 0 to 1, between neighbours of a row of colours."""
    left = min(int(place * (len(colours) - 1)), len(colours) - 2)
    share = place * (len(colours) - 1) - left
    pair = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours[left : left + 2]]
    return "#" + "".join(f"{round((1.0 - share) * a + share * b):02x}" for a, b in zip(*pair, strict=True))
