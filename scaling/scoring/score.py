"""Scores: errors in characters and in words, of one utterance or of many, under a named scoring.

The character error rate (CER) is the error rate that the product fits and compares; the word error rate (WER) is
reported beside it. Words are those of `scaling.scoring.words`; characters are those of the words, with one space
between words of scripts that use spaces. Both rates are so of the same normalised text.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from scaling.scoring.edits import EditCounts, count_edits
from scaling.scoring.mandarin import mandarin
from scaling.scoring.plain import plain
from scaling.scoring.wenet import wenet
from scaling.scoring.whisper import whisper_basic, whisper_english
from scaling.scoring.words import spaced
from scaling.spec import Scoring

WORDS: dict[Scoring, Callable[[str], list[str]]] = {
    Scoring.PLAIN: plain,
    Scoring.WHISPER_ENGLISH: whisper_english,
    Scoring.WHISPER_BASIC: whisper_basic,
    Scoring.MANDARIN: mandarin,
    Scoring.WENET: wenet,
}
"""The normaliser of each scoring, from a text to its words."""

VERSIONS: dict[Scoring, int] = {
    Scoring.PLAIN: 2,
    Scoring.WHISPER_ENGLISH: 1,
    Scoring.WHISPER_BASIC: 1,
    Scoring.MANDARIN: 2,
    Scoring.WENET: 1,
}
"""Raised when a scoring changes the errors of some texts. Results have the version that they were scored by, and
results without one the first; runs keep their keys, because texts can be scored again without training.

Version 2 of `plain` and `mandarin`: dashes of every kind, slashes and commas separate words; apostrophes of every kind
are one; variation selectors and characters without width vanish; a mark between two digits no longer joins them (`1.5`,
`10:30`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Edits in characters and in words."""

    chars: EditCounts = field(default_factory=EditCounts)
    words: EditCounts = field(default_factory=EditCounts)

    def __add__(self, other: "Score") -> "Score":
        """The sum of the edits and lengths, in which long utterances have more weight than short ones."""
        return Score(chars=self.chars + other.chars, words=self.words + other.words)

    def counts(self) -> dict[str, int]:
        """The edit counts by the names that results and tables use."""
        return {
            "errors": self.chars.errors,
            "substitutions": self.chars.substitutions,
            "deletions": self.chars.deletions,
            "insertions": self.chars.insertions,
            "ref_chars": self.chars.length,
            "word_errors": self.words.errors,
            "word_substitutions": self.words.substitutions,
            "word_deletions": self.words.deletions,
            "word_insertions": self.words.insertions,
            "ref_words": self.words.length,
        }

    def summary(self) -> dict[str, Any]:
        """The rates, then the counts. Raises ValueError where the references have no character."""
        return {"cer": self.chars.rate, "wer": self.words.rate, **self.counts()}


def score(reference: str, hypothesis: str, scoring: Scoring = Scoring.PLAIN) -> Score:
    """Edits between two texts after normalisation.

    >>> score("Hello, World!", "hello word").words.rate
    0.5
    """
    ref, hyp = WORDS[scoring](reference), WORDS[scoring](hypothesis)
    return Score(chars=count_edits(spaced(ref), spaced(hyp)), words=count_edits(ref, hyp))


def total(scores: Iterable[Score]) -> Score:
    """The sum of the scores of many utterances."""
    return sum(scores, Score())


def normalised(text: str, scoring: Scoring = Scoring.PLAIN) -> str:
    """`text` as its characters are compared."""
    return spaced(WORDS[scoring](text))
