"""Coded remarks about a fit or an answer: data, not exceptions, so that a program can act on the code."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "at_bound", "not_identified", "too_few_points", "not_converged"]


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
