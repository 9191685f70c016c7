"""Warnings below an answer in a terminal: whole sentences, each kind of warning said once."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from analysis.formatting import listed
from analysis.glossary import ADVICE, HOW_TO_ASK
from analysis.notes import Note
from scaling.system.console import one_line

_CER = re.compile(r"\bCER\b")

SHOWN = 3
"""So many findings of a kind are told; of more, the first two, and the number of the others."""


class Owner(Protocol):
    """A curve, as far as its warnings matter."""

    @property
    def label(self) -> str: ...
    @property
    def warnings(self) -> tuple[Note, ...]: ...


def warnings_text(notes: Iterable[Note], owners: Iterable[Owner] = (), error: str = "CER") -> str:
    """The lines below an answer: a line for each code, with what was found, what to do, and the code in brackets.

    What was found of some of the `owners` and not of the others begins with their names. Notes are written of CERs;
    `error` is the name of what the table has in their place. Empty without notes.
    """
    curves = list(owners)
    every = dict.fromkeys([*notes, *(note for curve in curves for note in curve.warnings)])
    if not every:
        return ""
    found: dict[str, list[str]] = {}
    for note in every:
        found.setdefault(note.code, []).append(_of_whom(note, curves) + note.message)
    said = {code: f"{_together(messages)} {ADVICE.get(code, '')}".rstrip() for code, messages in found.items()}
    lines = [f"  ! {called(one_line(sentences), error)} [{code}]" for code, sentences in said.items()]
    where = f"  ({HOW_TO_ASK} says more about a code in brackets)"
    return "\n" + "\n".join([*lines, where])


def called(sentence: str, error: str) -> str:
    """A sentence of ours about CERs, about an error of another name.

    >>> called("CER against charged FLOPs", "WER")
    'WER against charged FLOPs'
    """
    return _CER.sub(error, sentence)


def _of_whom(note: Note, curves: Sequence[Owner]) -> str:
    labels = [curve.label for curve in curves if note in curve.warnings]
    return f"{_named(labels)}: " if 0 < len(labels) < len(curves) else ""


def _named(labels: Sequence[str]) -> str:
    return listed(labels if len(labels) <= SHOWN else [*labels[: SHOWN - 1], f"{len(labels) - SHOWN + 1} more"])


def _together(messages: Sequence[str]) -> str:
    if len(messages) <= SHOWN:
        return " ".join(messages)
    return f"{' '.join(messages[: SHOWN - 1])} (And {len(messages) - SHOWN + 1} more of the kind: see --json.)"
