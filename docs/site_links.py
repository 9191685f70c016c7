"""A hook of mkdocs: links from pages to files outside docs/ become plain text, as the site holds the pages alone."""

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\s*\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page as the site shows it."""
    return OUTSIDE.sub(r"\1", markdown)
