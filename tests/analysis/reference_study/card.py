"""The columns of the dataset card, from the type of a row: its fields and their docstrings."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise

from pydantic import BaseModel
from reference_study.formats import table

from scaling.ledger import records

PARTS = {
    "A row": (records.RunDescription, records.RunRow),
    "`stages[]`": (records.RunStage,),
    "`test{name}`": (records.Scores,),
    "`spent`": (records.Spent,),
}
"""The objects of a row, and the classes that name their fields."""


def columns() -> list[str]:
    """The tables of the card: each column with its kind and its meaning."""
    lines = []
    for title, classes in PARTS.items():
        rows = [[f"`{name}`", kind, meaning] for each in classes for name, kind, meaning in fields(each)]
        lines += [f"**{title}**", "", *table(["column", "kind", "meaning"], rows), ""]
    return lines[:-1]


def fields(record: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Name in JSON, kind and docstring of each field that a class itself declares."""
    body = ast.parse(inspect.getsource(record)).body[0].body
    for statement, after in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(after, ast.Expr):
            name = record.model_fields[statement.target.id].alias or statement.target.id
            yield name, kind(ast.unparse(statement.annotation)), " ".join(ast.literal_eval(after.value).split())


def kind(annotation: str) -> str:
    """A type in words."""
    plain = annotation.replace(" | None", "")
    words = {"str": "text", "Name": "text", "bool": "true or false", "Any": "object", "Count": "whole number",
             "list[Name]": "list of text"}  # fmt: skip
    if plain in words:
        return words[plain]
    return "list of objects" if plain.startswith("list") else "object" if plain.startswith("dict") else (
        "object" if plain in ("Spent",) else "number")  # fmt: skip
