"""Whether nodes at work hear the speech at their last look, and which finished runs do not hear it yet."""

from dataclasses import dataclass

from pydantic import ConfigDict

from scaling.ledger.hearing import Hearing
from scaling.ledger.plan_file import PlanFile
from scaling.ledger.record import Count, Finite, Name, PositiveNumber, Record
from scaling.ledger.records import RUNS_FILE
from scaling.system.json_files import read_record_lines

VERDICTS = {True: "hears", False: "does not hear yet", None: "hearing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingNow:
    """What a look at hearing found (`scaling.ledger.hearing`), at `flops` of the stage."""

    flops: float
    nats: float
    low: float | None
    high: float | None
    hears: bool | None

    def text(self) -> str:
        """Whether the LLM hears, and the gain that says so."""
        return f"{VERDICTS[self.hears]} ({self.nats:.2f} nats a token)"


def hearing_now(hearing: Hearing | None) -> HearingNow | None:
    """The last measurement of hearing in a node; None where there was none."""
    found = hearing and hearing.model_dump(include={"flops", "nats", "low", "high"})
    return HearingNow(**found, hears=hearing.hears) if hearing and found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeafRun:
    """A finished run that does not hear the speech yet: its error rate says nothing about how it will fall."""

    run: str
    strategy: str
    encoder: str
    llm: str
    budget_flops: float
    seed: int
    hearing_nats: float | None

    def text(self) -> str:
        """The run and its gain."""
        gain = "" if self.hearing_nats is None else f": {self.hearing_nats:.2f} nats a token"
        models = f"{self.encoder} + {self.llm}"
        return f"{self.strategy}, {models}, {self.budget_flops:.3g} FLOPs, seed {self.seed}{gain}"


class _Heard(Record):
    """The part of a `RunRow` that is needed: reading it takes a sixth of the time of a whole row."""

    model_config = ConfigDict(extra="ignore")

    key: Name
    strategy: str
    encoder: str
    llm: str
    budget_flops: PositiveNumber
    seed: Count
    hears: bool | None = None
    hearing_nats: Finite | None = None


def deaf_runs(plan_file: PlanFile) -> list[DeafRun]:
    """The runs of the study's table that do not hear. Raises InputError where a line is no row."""
    path = plan_file.folder / RUNS_FILE
    return [
        DeafRun(run=row.key, **row.model_dump(exclude={"key", "hears"}))
        for row in (read_record_lines(_Heard, path) if path.exists() else ())
        if row.hears is False
    ]
