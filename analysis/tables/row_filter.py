"""Rows chosen by an expression such as `budget <= 3e20 and outlier != True and model in ["a", "b"]`.

The grammar: column names, numbers, strings, lists, comparisons, and, or, not. A name that is no identifier stands
between backticks: `eval/loss` < 3. The expression is parsed and never run as code; `pandas.DataFrame.query` would call
methods of columns that the expression names, refuse a column that mixes numbers and text, and take the import of
pandas for every table.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.tables.table import Row, Table
from scaling.errors import InputError, nearest

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, members: value in members,
    ast.NotIn: lambda value, members: value not in members,
}

MOST_CHARACTERS = 10_000
"""The longest expression: a hundred times the longest that anybody was seen to write."""


def select_rows(table: Table, expression: str) -> Table:
    """The rows for which `expression` holds. A missing value satisfies no comparison but `!=` and `not in`.

    Raises InputError for what the grammar does not have, for an unknown column, and where no row is left.
    """
    if len(expression) > MOST_CHARACTERS:
        raise InputError(f"--where: {len(expression)} characters; expected at most {MOST_CHARACTERS}")
    quoted = re.findall(r"`([^`]+)`", expression)
    numbers = iter(range(len(quoted)))
    columns = {name: name for name in table.names} | {f"_column_{i}": name for i, name in enumerate(quoted)}
    try:
        tree = ast.parse(re.sub(r"`[^`]+`", lambda _: f"_column_{next(numbers)}", expression), mode="eval").body
        test = _Compiler(table.names, columns, expression).test(tree)
    except SyntaxError as error:
        raise InputError(f"--where {expression!r}: {error.msg}") from None
    except UnicodeEncodeError:
        raise InputError(f"--where {expression!r}: not valid UTF-8") from None
    except (RecursionError, MemoryError):
        raise InputError(f"--where {expression!r}: nested too deeply") from None
    keep = [i for i, row in enumerate(table.rows) if test(row)]
    if not keep:
        used = [columns[node.id] for node in ast.walk(tree) if isinstance(node, ast.Name)]
        raise InputError(f"--where {expression!r}: no row of {table.path} is left{_texts(table, used)}")
    return table.select(keep)


def _texts(table: Table, used: Sequence[str]) -> str:
    """The end of a message: which of the columns used hold text, and where their numbers are to be found."""
    understood = {source: name for name, source in table.named.items()}
    for name in used:
        text = next((value for row in table.rows if isinstance(value := _typed(row.get(name)), str)), None)
        if text is not None:
            numbers = f", and its numbers are the column {understood[name]!r}" if name in understood else ""
            return f"; {name!r} is text, such as {text!r}{numbers}"
    return ""


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Parts of `expression` as functions of a row; `columns` maps identifiers in it to names of the table."""

    names: tuple[str, ...]
    columns: dict[str, str]
    expression: str

    def test(self, node: ast.expr) -> Callable[[Row], bool]:
        if isinstance(node, ast.BoolOp):
            parts = [self.test(part) for part in node.values]
            combine = all if isinstance(node.op, ast.And) else any
            return lambda row: combine(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.test(node.operand)
            return lambda row: not inner(row)
        if isinstance(node, ast.Compare) and all(type(op) in _COMPARISONS for op in node.ops):
            operators = [_COMPARISONS[type(op)] for op in node.ops]
            values = [self.value(part) for part in (node.left, *node.comparators)]
            steps = list(zip(operators, values[:-1], values[1:], strict=True))
            return lambda row: all(_compare(op, left(row), right(row)) for op, left, right in steps)
        raise InputError(f"--where {self.expression!r}: {ast.unparse(node)!r} is not a comparison")

    def value(self, node: ast.expr) -> Callable[[Row], Any]:
        if isinstance(node, ast.Name):
            column = self.columns.get(node.id, node.id)
            if column not in self.names:
                raise InputError(f"--where {self.expression!r}: no column {column!r}{nearest(column, self.names)}")
            return lambda row: _typed(row.get(column))
        if isinstance(node, ast.Constant | ast.UnaryOp | ast.List | ast.Tuple | ast.Set):
            try:
                constant = ast.literal_eval(node)
            except (ValueError, TypeError):
                pass
            else:
                return lambda _: constant
        message = f"{ast.unparse(node)!r} is neither a column, a number, text nor a list"
        raise InputError(f"--where {self.expression!r}: {message}")


def _typed(value: Any) -> Any:
    """A field of a CSV as the number, truth value or text that it holds; None where it is empty."""
    if not isinstance(value, str):
        return value
    words = {"true": True, "false": False, "": None}
    if value.lower() in words:
        return words[value.lower()]
    try:
        return float(value)
    except ValueError:
        return value


def _compare(comparison: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return bool(comparison(left, right))
    except TypeError:
        return False
