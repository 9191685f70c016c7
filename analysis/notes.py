"""Coded remarks about a fit or an answer: data, not exceptions, so that a program can act on the code."""

from collections.abc import Iterable
from dataclasses import Field, asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol

from analysis.glossary import ADVICE

Status = Literal["ok", "at_bound", "not_identified", "too_few_points", "not_converged"]
"""How far a fit can be trusted, the best status first."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """A stable `code`, and what was found in whole sentences, with the values that caused it."""

    code: str
    message: str

    @property
    def text(self) -> str:
        """What was found and what to do about it (`analysis.glossary`), in whole sentences."""
        return f"{self.message} {ADVICE.get(self.code, '')}".rstrip()

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


def as_text(notes: Iterable[Note]) -> list[str]:
    """Notes as a program reads them: the code, a colon, and the sentences; each once, in the order given."""
    return list(dict.fromkeys(map(str, notes)))


class AnswerWithWarnings(Protocol):
    """A dataclass whose `warnings` are notes."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def warnings(self) -> tuple[Note, ...]: ...


def as_document(answer: AnswerWithWarnings) -> dict[str, object]:
    """The fields of an answer as a command prints them with --json: its warnings as text."""
    return {**asdict(answer), "warnings": as_text(answer.warnings)}
