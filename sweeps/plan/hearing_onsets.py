"""The known FLOPs from which on a strategy hears with a pair of models; a plan warns of budgets below them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scaling.ledger.ledger import Ledger
from scaling.spec import RunSpec
from sweeps.plan.plan import PlannedRun


class KnownOnset(NamedTuple):
    """The largest budget that did not hear, and the smallest one above that did, by `source`; None without a run."""

    strategy: str
    encoder: str
    llm: str
    deaf_flops: float | None
    onset_flops: float | None
    source: str

    def lies_below(self, budget_flops: float) -> bool:
        """Whether a budget lies below the onset."""
        deaf = self.deaf_flops is not None and budget_flops <= self.deaf_flops
        return deaf or (self.onset_flops is not None and budget_flops < self.onset_flops)


@dataclass(frozen=True, slots=True, kw_only=True)
class BelowOnset:
    """Budgets of a plan, not trained yet, at which a strategy is not expected to hear."""

    onset: KnownOnset
    budgets_flops: tuple[float, ...]

    def as_document(self) -> dict[str, object]:
        """An entry of `below_onset` in what `plan --json` prints."""
        return {**self.onset._asdict(), "budgets_flops": self.budgets_flops}

    def text(self) -> str:
        """The warning for people."""
        onset = self.onset
        budgets = ", ".join(f"{flops:.3g}" for flops in self.budgets_flops)
        known = [
            *([] if onset.deaf_flops is None else [f"{onset.deaf_flops:.3g} FLOPs did not hear"]),
            *([] if onset.onset_flops is None else [f"{onset.onset_flops:.3g} FLOPs did"]),
        ]
        return (
            f"{onset.strategy} ({onset.encoder} + {onset.llm}) may not hear the speech at {budgets} FLOPs:"
            f" {', '.join(known)} ({onset.source})"
        )


MINIS = ("mini-s", "mini-s")

TINY = ("whisper-tiny.en", "smollm2-135m")

MEASURED: Mapping[str, tuple[KnownOnset, ...]] = {
    "zh": tuple(KnownOnset(name, *MINIS, 1e10, 2e10, "synthetic-zh-digits, one seed") for name in ("efin", "joint")),
    "en": (
        KnownOnset("efin", *MINIS, 4e10, 8e10, "synthetic-en-digits, one seed"),
        KnownOnset("joint", *MINIS, 3.2e11, None, "synthetic-en-digits, one seed"),
        KnownOnset("efin", *TINY, 4e12, None, "single spoken digits, one seed"),
        KnownOnset("joint", *TINY, 2e12, 4e12, "single spoken digits, one seed"),
        KnownOnset("frozen_encoder", *TINY, None, 1e13, "single spoken digits, one seed"),
    ),
}
"""Onsets by language that studies know which have none of their own: of minis, and of real checkpoints (LOG.md). Other
speech has another onset: English digits took the minis four times the FLOPs of Mandarin ones, or more."""


def budgets_below_onset(runs: Iterable[PlannedRun], done: Iterable[str], ledger: Ledger | None) -> list[BelowOnset]:
    """What is known against the budgets of runs that are not done: from this study's finished runs, else `MEASURED`."""
    finished, by_pair, waiting = set(done), defaultdict(list), defaultdict(set)
    languages: dict[Pair, str] = {}
    for run in runs:
        languages[_pair(run.spec)] = run.spec.data.language
        if run.end in finished:
            by_pair[_pair(run.spec)].append(run)
        else:
            waiting[_pair(run.spec)].add(run.spec.budget_flops)
    below_onset = []
    for pair, budgets in waiting.items():
        own = None if ledger is None else _own_onset(pair, by_pair[pair], ledger)
        onset = own or measured_onset(pair, languages[pair])
        below = tuple(flops for flops in sorted(budgets) if onset is not None and onset.lies_below(flops))
        if onset is not None and below:
            below_onset.append(BelowOnset(onset=onset, budgets_flops=below))
    return below_onset


Pair = tuple[str, str, str]
"""Names of a strategy, an encoder and an LLM."""


def _pair(spec: RunSpec) -> Pair:
    return spec.strategy.name, spec.model.encoder_name, spec.model.llm_name


def _own_onset(pair: Pair, runs: Iterable[PlannedRun], ledger: Ledger) -> KnownOnset | None:
    """The onset that finished runs of a strategy on a pair show; None where none of them measured hearing."""
    hears: Mapping[bool, list[float]] = {True: [], False: []}
    for run in runs:
        result = ledger.result(run.end)
        if result is not None and result.hearing is not None and result.hearing.hears is not None:
            hears[result.hearing.hears].append(run.spec.budget_flops)
    if not hears[True] and not hears[False]:
        return None
    deaf_flops = max(hears[False], default=None)
    onset_flops = min((flops for flops in hears[True] if deaf_flops is None or flops > deaf_flops), default=None)
    return KnownOnset(*pair, deaf_flops, onset_flops, "runs of this study")


def measured_onset(pair: Pair, language: str) -> KnownOnset | None:
    """What `MEASURED` has about a strategy on a pair; None where it has nothing."""
    return next((known for known in MEASURED.get(language, ()) if _plain(known[:3]) == _plain(pair)), None)


def _plain(pair: Pair) -> Pair:
    """The names in lower case, and an LLM's without the ending of a chat release such as -Instruct."""
    strategy, encoder, llm = pair
    return strategy, encoder.lower(), llm.lower().removesuffix("-instruct")
