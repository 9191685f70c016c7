"""Character error rate: what is compared, and how many edits it takes.

Text is normalised the same way on both sides before characters are counted: Unicode NFKC (full and half width become
one), lower case, punctuation and symbols removed, white space removed in scripts written without it (Han, Kana) and
squeezed to one space elsewhere. Digits and numerals are left as written.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EditCounts:
    """Edits that turn a hypothesis into its reference, in characters."""

    substitutions: int
    deletions: int
    insertions: int
    ref_chars: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions


def normalize(text: str) -> str:
    """`text` as it is compared.

    >>> normalize("今天，Ｈello  World！")
    '今天hello world'
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(" " if _separates(char) else char for char in folded if not _ignored(char))
    words = kept.split()
    out = ""
    for word in words:
        spaced = out and not (_unspaced(out[-1]) or _unspaced(word[0]))
        out += " " + word if spaced else word
    return out


def count_edits(reference: str, hypothesis: str) -> EditCounts:
    """Edits between two texts after `normalize`; an empty reference counts every hypothesis character as inserted."""
    import jiwer

    ref, hyp = normalize(reference), normalize(hypothesis)
    if not ref or not hyp:
        return EditCounts(substitutions=0, deletions=len(ref), insertions=len(hyp), ref_chars=len(ref))
    found = jiwer.process_characters(ref, hyp)
    return EditCounts(
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
        ref_chars=len(ref),
    )


def cer(counts: Sequence[EditCounts]) -> float:
    """Errors over reference characters of all utterances together, a fraction; above 1 where insertions abound.

    Raises ValueError where the references hold no character at all.
    """
    ref_chars = sum(count.ref_chars for count in counts)
    if ref_chars == 0:
        raise ValueError("the references hold no character, so there is no error rate")
    return sum(count.errors for count in counts) / ref_chars


def _ignored(char: str) -> bool:
    return unicodedata.category(char)[0] in "PSC" and not _separates(char)


def _separates(char: str) -> bool:
    return char.isspace() or char == "-"


def _unspaced(char: str) -> bool:
    return unicodedata.name(char, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"))
