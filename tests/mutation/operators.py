"""Small wrong changes of Python source, one line each, and the place of the same change in later source.

After DeMillo, Lipton and Sayward, "Hints on test data selection" (1978): tests that notice small faults notice most.
What says little of strength is left alone: text, annotations, what is printed, and code outside functions.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SYMBOLS: dict[type[ast.AST], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
    ast.Add: ("+", ("-",)),
    ast.Sub: ("-", ("+",)),
    ast.Mult: ("*", ("/",)),
    ast.Div: ("/", ("*",)),
    ast.BitOr: ("|", ("&",)),
    ast.BitAnd: ("&", ("|",)),
    ast.And: ("and", ("or",)),
    ast.Or: ("or", ("and",)),
}
"""How an operator is written, and what takes its place."""

RETURNED = {"bool": "return not ({})", "int": "return ({}) + 1", "float": "return ({}) + 1", "str": 'return ""'}
"""What is returned instead of a value, by its annotated type; None where the type allows it."""

PRINTING = {"echo", "print", "say", "warn", "warning", "info", "debug"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """The line `line` of the function with the qualified name `function` becomes `mutated`, both without indentation.

    `nth` counts from 0 among the function's lines with the same text. `number` is the line's number in the module that
    was read, from 1.
    """

    kind: str
    function: str
    line: str
    nth: int
    mutated: str
    number: int


def mutations(source: str) -> list[Mutation]:
    """All changes of the functions of a module."""
    lines = source.split("\n")
    return [
        Mutation(
            kind=kind,
            function=name,
            line=lines[number - 1].strip(),
            nth=_same_lines(lines, function, lines[number - 1].strip()).index(number),
            mutated=mutated.strip(),
            number=number,
        )
        for name, function in _functions(ast.parse(source).body)
        for node in _inside(function.body)
        for kind, number, mutated in _changes(node, lines, function)
        if mutated != lines[number - 1]
    ]


def mutate(source: str, function: str, line: str, nth: int, mutated: str) -> tuple[int, str] | None:
    """The number of a line and the module with this line changed; None where no such function has such a line."""
    lines = source.split("\n")
    for name, node in _functions(ast.parse(source).body):
        numbers = _same_lines(lines, node, line)
        if name == function and nth < len(numbers):
            index = numbers[nth] - 1
            indentation = lines[index][: -len(lines[index].lstrip())]
            return index + 1, "\n".join([*lines[:index], indentation + mutated, *lines[index + 1 :]])
    return None


def _functions(body: Sequence[ast.AST], inside: str = "") -> Iterator[tuple[str, Function]]:
    for node in body:
        if isinstance(node, Function):
            yield inside + node.name, node
        if isinstance(node, Function | ast.ClassDef):
            yield from _functions(node.body, f"{inside}{node.name}.")
        elif isinstance(node, ast.stmt):
            yield from _functions(list(ast.iter_child_nodes(node)), inside)


def _same_lines(lines: Sequence[str], function: Function, line: str) -> list[int]:
    """Numbers of the lines of a function with this text."""
    return [n for n in range(function.lineno, (function.end_lineno or 0) + 1) if lines[n - 1].strip() == line]


def _inside(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All nodes below that may be changed, without nested functions, which are functions of their own."""
    for node in nodes:
        if isinstance(node, Function | ast.ClassDef | ast.JoinedStr) or _prints(node):
            continue
        yield node
        values = [value for field, value in ast.iter_fields(node) if field != "annotation"]
        below = [node for value in values for node in (value if isinstance(value, list) else [value])]
        yield from _inside([node for node in below if isinstance(node, ast.AST)])


def _prints(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", "")) in PRINTING


def _changes(node: ast.AST, lines: Sequence[str], function: Function) -> Iterator[tuple[str, int, str]]:
    """Each change of a node as its kind, the line's number and the changed line; none of what spans several lines."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _operator("comparison", node.ops[0], node.left, node.comparators[0], lines)
    elif isinstance(node, ast.BinOp) and not any(_is_text(operand) for operand in (node.left, node.right)):
        yield from _operator("arithmetic", node.op, node.left, node.right, lines)
    elif isinstance(node, ast.BoolOp):
        yield from _operator("and or", node.op, node.values[0], node.values[1], lines)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from _replaced("dropped not", node, "({})", lines, node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield from _replaced("constant", node, str(not node.value), lines)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from _replaced("constant", node, repr(node.value + 1), lines)
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield from _replaced("negated condition", node.test, "not ({})", lines)
    elif isinstance(node, ast.Return) and node.value is not None:
        annotation = ast.unparse(function.returns) if function.returns else ""
        if wrong := RETURNED.get(annotation, "return None" if annotation.endswith("| None") else ""):
            yield from _replaced("returned value", node, wrong, lines, node.value)
    elif _acts(node):
        yield from _replaced("removed statement", node, "pass", lines)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _acts(node: ast.AST) -> bool:
    """Whether a statement does something that the code after it could run without."""
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call) and not _prints(node.value)
    return isinstance(node, ast.AugAssign)


def _operator(
    kind: str, operator: ast.AST, left: ast.expr, right: ast.expr, lines: Sequence[str]
) -> Iterator[tuple[str, int, str]]:
    written, others = SYMBOLS.get(type(operator), ("", ()))
    if left.end_lineno == right.lineno:
        for other in others:
            yield (
                kind,
                right.lineno,
                _with(lines, right.lineno, left.end_col_offset or 0, right.col_offset, written, other),
            )


def _replaced(
    kind: str, node: ast.expr | ast.stmt, text: str, lines: Sequence[str], part: ast.expr | None = None
) -> Iterator[tuple[str, int, str]]:
    """The node as `text`, where {} stands for the node itself or for a part of it."""
    part = part or node
    if node.lineno == node.end_lineno:
        line = lines[node.lineno - 1].encode()
        kept = line[part.col_offset : part.end_col_offset].decode()
        new = text.format(kept).encode()
        yield kind, node.lineno, (line[: node.col_offset] + new + line[node.end_col_offset :]).decode()


def _with(lines: Sequence[str], number: int, first: int, last: int, old: str, new: str) -> str:
    """A line with `old` replaced by `new` between two offsets in bytes."""
    line = lines[number - 1].encode()
    return (line[:first] + line[first:last].replace(old.encode(), new.encode(), 1) + line[last:]).decode()
