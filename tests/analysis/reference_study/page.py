"""The tables and sentences of results/reference/README.md, each between its markers."""

import re
from collections.abc import Callable, Mapping, Sequence

from reference_study.formats import Answers
from reference_study.page_answers import budgets, forecasts, gains, laws, paper, state, summary
from reference_study.page_simplified import designs, short_answers, single_seed, six_nd, untuned

BLOCKS: dict[str, Callable[[Answers], list[str]]] = {
    block.__name__: block
    for block in (summary, state, laws, forecasts, gains, budgets, paper, untuned, six_nd, single_seed, designs)
}


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


def answered(page: str, found: Answers) -> str:
    """The page of the study, filled from its answers."""
    blocks = {name: block(found) for name, block in BLOCKS.items()}
    return filled(page, blocks | {"summary": [*blocks["summary"], *short_answers(found)]})
