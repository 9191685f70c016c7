"""Selecting rows by an expression such as `budget <= 3e20 and outlier != True and model in ["a", "b"]`.

The expression is parsed, never evaluated as code: column names, numbers, strings, lists, comparisons, and, or, not. A
name that is no identifier goes between backticks: `eval/loss` < 3.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence
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


def select(table: Table, expression: str) -> Table:
    """The rows for which `expression` holds. Raises InputError for anything but the grammar, and where none is left.

    A missing value satisfies no comparison but `!=` and `not in`.
    """
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        quoted[f"_column_{len(quoted)}"] = match.group(1)
        return f"_column_{len(quoted) - 1}"

    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", stand_in, expression), mode="eval").body
    except SyntaxError as error:
        raise InputError(f"--where {expression!r}: {error.msg}") from None
    test = _test(tree, table.names, quoted, expression)
    kept = [i for i, row in enumerate(table.rows) if test(row)]
    if not kept:
        raise InputError(f"--where {expression!r}: no row of {table.path} is left")
    return table.select(kept)


def _test(node: ast.expr, names: Sequence[str], quoted: dict[str, str], expression: str) -> Callable[[Row], bool]:
    if isinstance(node, ast.BoolOp):
        parts = [_test(part, names, quoted, expression) for part in node.values]
        every = isinstance(node.op, ast.And)
        return lambda row: (all if every else any)(part(row) for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _test(node.operand, names, quoted, expression)
        return lambda row: not inner(row)
    if isinstance(node, ast.Compare):
        values = [_value(part, names, quoted, expression) for part in (node.left, *node.comparators)]
        operators = [_COMPARISONS.get(type(op)) for op in node.ops]
        if None not in operators:
            steps = list(zip(operators, values[:-1], values[1:], strict=True))
            return lambda row: all(_compare(op, left(row), right(row)) for op, left, right in steps if op)
    raise InputError(f"--where {expression!r}: {ast.unparse(node)!r} is not a comparison")


def _value(node: ast.expr, names: Sequence[str], quoted: dict[str, str], expression: str) -> Callable[[Row], Any]:
    if isinstance(node, ast.Name):
        column = quoted.get(node.id, node.id)
        if column not in names:
            raise InputError(f"--where {expression!r}: no column {column!r}{nearest(column, names)}")
        return lambda row: _typed(row.get(column))
    if isinstance(node, ast.Constant | ast.UnaryOp | ast.List | ast.Tuple | ast.Set):
        try:
            constant = ast.literal_eval(node)
        except (ValueError, TypeError):
            pass
        else:
            return lambda _: constant
    raise InputError(f"--where {expression!r}: {ast.unparse(node)!r} is neither a column, a number, text nor a list")


def _typed(value: Any) -> Any:
    """A field of a CSV as what it says: a number, a truth value, nothing, or text."""
    if not isinstance(value, str):
        return value
    words = {"true": True, "false": False, "": None}
    if value.lower() in words:
        return words[value.lower()]
    try:
        return float(value)
    except ValueError:
        return value


def _compare(op: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return bool(op(left, right))
    except TypeError:
        return False
