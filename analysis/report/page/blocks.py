"""What sections are built from: figures, tables, lists."""

from collections.abc import Sequence

from analysis.report.page.html import Html, tag

NUMBER = "number"
"""The class of cells with numbers."""


def figure(drawing: Html, caption: str) -> Html:
    """A drawing with its caption."""
    return tag("figure", tag("div", drawing, class_="drawing wide"), tag("figcaption", caption))


def table(header: Sequence[str], rows: Sequence[Html], numbers_from: int | None = None) -> Html:
    """A table that scrolls where it is wider than the page; columns from `numbers_from` on hold numbers."""
    heads = [
        tag("th", text, class_=NUMBER if numbers_from is not None and i >= numbers_from else None)
        for i, text in enumerate(header)
    ]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    return tag("div", table, class_="wide")


def bullets(lines: Sequence[str]) -> Html | None:
    """A list; None where it is empty."""
    return tag("ul", *(tag("li", line) for line in lines), class_="warnings") if lines else None
