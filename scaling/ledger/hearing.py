"""Whether an LLM hears the speech: how much more probable its text is behind the right speech than behind another's.

The gain of an utterance is the loss of its text behind another utterance's speech, cut to the same length, minus the
loss behind its own speech; summed over utterances and divided by their target tokens it is `nats`. An LLM that writes
fluent text without regard to the speech gains nothing, however low its loss and whatever its error rate.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scaling.ledger.record import Count, Finite, Flops, Record

HEARS_ABOVE_NATS = 0.1
"""A model hears where the 90 % interval of its gain lies above this: the right speech makes each target token 1.1 times
as probable. Chosen before any study used it, see LOG.md."""


class Hearing(Record):
    """Hearing at one point of a stage."""

    flops: Flops
    """Position in FLOPs charged to the stage."""
    nats: Finite
    """Gain of the right speech in nats a target token."""
    low: Finite | None
    """Lower end of its 90 % interval; null where fewer than two speakers or utterances were heard."""
    high: Finite | None
    """Upper end of its 90 % interval."""
    resampled: str | None
    """What the interval is taken over, `speakers` or `utterances`; null where there is none."""
    n_utterances: Count
    """Utterances of dev that were heard."""

    @property
    def hears(self) -> bool | None:
        """Whether the gain is surely above `HEARS_ABOVE_NATS`; None without an interval."""
        return None if self.low is None else self.low > HEARS_ABOVE_NATS

    def columns(self) -> dict[str, float | None]:
        """The gain and its interval under the names of columns and curves."""
        return {"hearing_nats": self.nats, "hearing_low": self.low, "hearing_high": self.high}


class Onset(NamedTuple):
    """A run began to hear after `deaf_flops` and by `flops`; either is None where there was no such measurement."""

    deaf_flops: float | None
    flops: float | None


def onset(looks: Iterable[Hearing]) -> Onset:
    """The onset after which every one of these measurements, in the order of FLOPs, found that the model hears."""
    known = [look for look in looks if look.hears is not None]
    deaf = [place for place, look in enumerate(known) if not look.hears]
    since = known[deaf[-1] + 1 :] if deaf else known
    return Onset(known[deaf[-1]].flops if deaf else None, since[0].flops if since else None)


def at(looks: Sequence[Hearing], before_flops: float) -> list[Hearing]:
    """The same looks by the FLOPs of the run, of which `before_flops` were charged before the stage."""
    return [look.model_copy(update={"flops": before_flops + look.flops}) for look in looks]
