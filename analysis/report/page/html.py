"""HTML that cannot be broken by its data: text is escaped unless this module made it."""

import html
import json
import re
from typing import Any


class Html(str):
    """Markup that is safe to send as it is."""

    __slots__ = ()


Child = str | None
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_VOID = frozenset({"meta", "input", "br", "hr"})


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """An element. Children are escaped unless they are `Html`; None is left out.

    Attributes: `class_` is class, `data_value` is data-value; True stands without a value, None and False are left out.

    >>> tag("td", "a < b", tag("br"), class_="number")
    '<td class="number">a &lt; b<br></td>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after another, escaped unless they are `Html`."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children if child))


def json_block(identity: str, document: Any) -> Html:
    r"""A script element of JSON that no value can close: `<` is written as an escape.

    >>> print(json_block("data", ["</script>"]))
    <script type="application/json" id="data">["\u003c/script>"]</script>
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="{identity}">{safe}</script>')


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if not _NAME.fullmatch(name):
        raise ValueError(f"attribute {key!r}: expected letters, digits and dashes")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
