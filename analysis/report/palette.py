"""The colours of figures and page, and how strategies are told apart: by colour and by mark."""

from dataclasses import dataclass

INK, RULE, PAPER = "#1b1b1e", "#dcdce2", "#fffffe"
"""Text, grid and ground of a figure on white; a page puts its own in the place of these, light and dark."""


@dataclass(frozen=True, slots=True)
class Look:
    """A colour on white, the same hue on black, and a mark (a name that matplotlib knows)."""

    light: str
    dark: str
    mark: str


LOOKS = (
    Look("#0072b2", "#56a8e0", "o"),
    Look("#d55e00", "#f08a45", "s"),
    Look("#009e73", "#35c79b", "^"),
    Look("#b0508a", "#e093c0", "D"),
    Look("#b07800", "#e8b13c", "v"),
    Look("#5b5bd6", "#9b9bf5", "P"),
    Look("#6b4e3d", "#c9a48d", "X"),
    Look("#5c6168", "#b4b8bf", "<"),
)
"""Hues of Okabe and Ito (2008), which the colour-blind tell apart, darkened where they are pale on white.
As many as there are preset strategies: with more, looks come again.
"""


def look(index: int) -> Look:
    """The look of the strategy at `index` in the study's order."""
    return LOOKS[index % len(LOOKS)]
