"""What notebooks show: a table as HTML, with remarks below, and nothing that steers a page."""

from collections.abc import Sequence
from html import escape


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], remarks: Sequence[str] = ()) -> str:
    """A table and a list of remarks as HTML.

    >>> html_table(["a<b"], [["1"]], ["so: so"])
    '<table><tr><th>a&lt;b</th></tr><tr><td>1</td></tr></table><ul><li>so: so</li></ul>'
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    below = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    return f"<table><tr>{head}</tr>{body}</table>" + (f"<ul>{below}</ul>" if below else "")
