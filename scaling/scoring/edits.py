"""Edit counts: how many insertions, deletions and substitutions turn a reference into its hypothesis."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, slots=True, kw_only=True)
class EditCounts:
    """The fewest edits between two sequences, or their sum over many pairs; `length` is that of the references.

    Where several alignments have the fewest edits, the kinds are those of jiwer, which uses the same library.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    length: int = 0

    @property
    def errors(self) -> int:
        """The number of edits of all kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors over the references' length, above 1 for many insertions. Raises ValueError for empty references."""
        if self.length == 0:
            raise ValueError("the references hold no character, so there is no error rate")
        return self.errors / self.length

    def __add__(self, other: "EditCounts") -> "EditCounts":
        """The sum of the counts."""
        return EditCounts(
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
            length=self.length + other.length,
        )


def count_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> EditCounts:
    """Edits between two sequences of words or characters; with an empty reference all are insertions.

    >>> count_edits("三五七九", "三六七九零")
    EditCounts(substitutions=1, deletions=0, insertions=1, length=4)
    """
    kinds = [edit.tag for edit in Levenshtein.editops(reference, hypothesis)]
    return EditCounts(
        substitutions=kinds.count("replace"),
        deletions=kinds.count("delete"),
        insertions=kinds.count("insert"),
        length=len(reference),
    )
