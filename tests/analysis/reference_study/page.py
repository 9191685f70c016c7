"""The tables and sentences of the pages of results/reference, each between its markers."""

import re
from collections.abc import Callable, Mapping, Sequence

from reference_study.formats import Answers
from reference_study.page_answers import budgets, forecasts, gains, laws, paper, state
from reference_study.page_recipe import rates, recipe
from reference_study.page_simplified import designs, single_seed, six_nd, untuned
from reference_study.page_summary import headline, summary

Block = Callable[[Answers], list[str]]
PAGES: dict[str, tuple[Block, ...]] = {
    "README.md": (summary, state, recipe, rates),
    "TABLES.md": (laws, forecasts, gains, budgets, paper, untuned, six_nd, single_seed, designs),
}
"""The blocks of each page; a block stands between markers of its name."""
PROJECT: tuple[Block, ...] = (headline,)
"""The blocks of the README of the project."""


def filled(page: str, blocks: Mapping[str, Sequence[str]]) -> str:
    """The page with the lines of every block between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises ValueError where a block has no place on the page, or the page has a place without a block.
    """
    places = set(re.findall(r"<!-- end of (\w+) -->", page))
    if places != set(blocks):
        raise ValueError(f"places without a block, or blocks without a place: {', '.join(places ^ set(blocks))}")
    for name, lines in blocks.items():
        place = re.compile(rf"<!-- {name} -->\n.*?<!-- end of {name} -->", re.DOTALL)
        text = "\n".join([f"<!-- {name} -->", "", *lines, "", f"<!-- end of {name} -->"])
        page = place.sub(lambda _, text=text: text, page)
    return page


def answered(text: str, blocks: Sequence[Block], found: Answers) -> str:
    """A page with these blocks, filled from the answers of the study."""
    return filled(text, {block.__name__: block(found) for block in blocks})
