"""Coded remarks about a fit or an answer: data, not exceptions, so that a program can act on the code."""

from collections.abc import Iterable
from dataclasses import Field, asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol

Status = Literal["ok", "at_bound", "not_identified", "too_few_points", "not_converged"]
"""How far a fit can be trusted, the best status first."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """A stable `code` and a sentence with the values that caused it."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def as_text(notes: Iterable[Note]) -> list[str]:
    """Notes as printed: `code: message`, each once, in the order given."""
    return list(dict.fromkeys(str(note) for note in notes))


class Answer(Protocol):
    """A dataclass whose `warnings` are notes."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def warnings(self) -> tuple[Note, ...]: ...


def as_document(answer: Answer) -> dict[str, object]:
    """The fields of an answer as a command prints them with --json: its warnings as text."""
    return {**asdict(answer), "warnings": as_text(answer.warnings)}
