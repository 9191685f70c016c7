"""Answers become a first study: a YAML file with budgets that can be paid, and the commands that come next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.cost.amounts import duration, money
from scaling.errors import InputError
from scaling.spec import Precision
from scaling.speech.spoken_language import check_code, spoken_language
from scaling.speech.synthetic.recipes import RECIPES
from scaling.system.atomic_files import write_text_atomically
from sweeps.costs.cost_estimate import CostEstimate
from sweeps.costs.tariff import Tariff, tariff_of
from sweeps.new_study.affordable import MOST_EPOCHS, Affordable, Spend, affordable_budgets
from sweeps.new_study.corpus_sets import find_sets, is_recipe
from sweeps.new_study.wish import Value, Wish, as_seen_from

USUAL_HOURS = 4.0
"""Hours of a made corpus (assumption: minis of an evening hear no more than a few times as much)."""

FEWEST_HOURS, MOST_HOURS = 0.01, 10_000.0
"""Hours that a made corpus can have: some utterances, and what a study's field `data.hours` allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStudyAnswers:
    """What a user has and wants: a folder or a made corpus of `corpus_hours`, sets in place of the corpus's, models."""

    corpus: str | None
    corpus_hours: float | None
    train: str | None
    dev: str | None
    test: Mapping[str, str]
    language: str | None
    encoder: str
    llm: str
    flops: float | None
    usd: float | None
    device_hours: float | None
    hardware: str | None
    usd_per_hour: float | None

    @property
    def spend(self) -> Spend:
        """What can be spent. Raises InputError unless exactly one amount is given."""
        amounts = (
            Spend(option="--flops", unit="FLOPs", most=self.flops or 0.0, cost=lambda costs: costs.to_spend_flops),
            Spend(option="--usd", unit="USD", most=self.usd or 0.0, cost=lambda costs: costs.usd),
            Spend(
                option="--device-hours",
                unit="hours of a device",
                most=self.device_hours or 0.0,
                cost=lambda costs: costs.device_hours,
            ),
        )
        given = [amount for amount in amounts if amount.most > 0.0]
        if len(given) != 1:
            raise InputError("init: give one positive amount of --flops, --usd and --device-hours")
        return given[0]

    @property
    def spoken(self) -> str | None:
        """The language as given, or as the corpus says it; None where neither does."""
        if self.language is not None:
            return self.language
        if self.corpus is not None and is_recipe(self.corpus):
            return RECIPES[self.corpus].language
        return spoken_language(Path(self.train or find_sets(Path(self.corpus or "").expanduser()).train).expanduser())

    @property
    def tariff(self) -> Tariff:
        """What devices cost. Raises InputError on an unknown device."""
        return tariff_of(self.hardware, None, self.usd_per_hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStudy:
    """A study that was written, as it was planned."""

    file: Path
    planned: Affordable

    @property
    def notes(self) -> list[str]:
        """What must not be silent: doubts about the speech, and why there are no larger budgets."""
        notes = self.planned.prepared.study.speech.notes()
        if self.planned.epochs > MOST_EPOCHS:
            repeats = f"the largest budget hears the training set {self.planned.epochs:.1f} times"
            notes.append(f"{repeats}: larger ones would say little of fresh data, whatever can be spent")
        return notes

    def as_document(self) -> dict[str, object]:
        """What `init --json` prints."""
        study, costs = self.planned.prepared.study, self.planned.costs
        return {
            "file": str(self.file),
            "budgets_flops": self.planned.budgets,
            "language": study.speech.spec.language,
            "scoring": study.speech.spec.scoring,
            "n_runs": len(self.planned.prepared.plan.runs),
            "spent_flops": costs.spent_flops,
            "device_hours": costs.device_hours,
            "device": costs.rent.device,
            "usd": costs.usd,
            "notes": self.notes,
        }

    def as_text(self) -> str:
        """What was written, and what to do with it."""
        notes = [f"note: {note}" for note in self.notes]
        lines = [
            f"{self.file}: {price_sentence(len(self.planned.prepared.plan.runs), self.planned.costs)}",
            *notes,
            "next:",
            f"  asr-scaling plan {self.file}",
            f"  asr-scaling run {self.file} --out results/{self.planned.prepared.study.name}",
            f"  asr-scaling fit results/{self.planned.prepared.study.name}",
        ]
        return "\n".join(lines)


def write_first_study(file: Path, answers: FirstStudyAnswers) -> FirstStudy:
    """Write the study to a new file. Raises InputError, and writes nothing, where an answer leads to no study."""
    if file.exists():
        raise InputError(f"{file}: exists; expected a new file")
    if not file.parent.is_dir():
        raise InputError(f"{file}: no folder {file.parent}; expected a file in a folder that exists")
    spend = answers.spend
    anywhere = _wish(answers, file.stem, None)
    language = answers.spoken
    if answers.language is not None:
        check_code(answers.language, "init: --language")
    if language is None:
        raise InputError("init: --language missing, and the corpus does not name it; expected zh, en or another code")
    planned = affordable_budgets(lambda budgets: anywhere.text(budgets, language, ""), spend, answers.tariff)
    price = price_sentence(len(planned.prepared.plan.runs), planned.costs)
    text = _wish(answers, file.stem, file.parent).text(planned.budgets, language, f"By `plan`: {price}.")
    write_text_atomically(file, text)
    return FirstStudy(file=file, planned=planned)


def price_sentence(runs: int, costs: CostEstimate) -> str:
    """What a study costs, in one phrase."""
    usd = "" if costs.usd is None else f", {money(costs.usd)}"
    hours = duration(3600 * costs.device_hours)
    return f"{runs} runs, {costs.spent_flops:.2g} FLOPs, {hours} of {costs.rent.device}{usd}"


def _wish(answers: FirstStudyAnswers, name: str, folder: Path | None) -> Wish:
    """The study as a file in `folder` says it; with absolute paths where it is None."""
    return Wish(
        name=name.replace(" ", "-"),
        encoder=_model(answers.encoder, folder),
        llm=_model(answers.llm, folder),
        data=_data(answers, folder),
        precision=Precision.FP32 if answers.hardware in (None, "cpu", "cpu-core") else Precision.BF16,
    )


def _model(name: str, folder: Path | None) -> str:
    return _placed(name, folder) if Path(name).expanduser().exists() else name


def _data(answers: FirstStudyAnswers, folder: Path | None) -> dict[str, Value]:
    if answers.corpus is not None and is_recipe(answers.corpus):
        return {"corpus": answers.corpus, "hours": answers.corpus_hours or USUAL_HOURS}
    if answers.corpus_hours is not None:
        given = "--corpus" if answers.corpus is None else f"--corpus {answers.corpus}"
        raise InputError(f"--corpus-hours: {given} is not made; expected one of {', '.join(RECIPES)}, or no hours")
    train, dev, test = answers.train, answers.dev, dict(answers.test)
    if not (train and dev and test):
        if answers.corpus is None:
            raise InputError("init: no data; give --corpus FOLDER, or --train FILE, --dev FILE and --test NAME=FILE")
        sets = find_sets(Path(answers.corpus).expanduser())
        train, dev = train or str(sets.train), dev or str(sets.dev)
        test = test or {name: str(path) for name, path in sets.test.items()}
    return {
        "train": _placed(train, folder),
        "dev": _placed(dev, folder),
        "test": {name: _placed(path, folder) for name, path in test.items()},
    }


def _placed(path: str, folder: Path | None) -> str:
    return str(Path(path).expanduser().absolute()) if folder is None else as_seen_from(folder, path)


def named_sets(texts: Sequence[str]) -> dict[str, str]:
    """Test sets as --test says them: NAME=FILE, or a FILE that names itself. Raises InputError for a repeated name."""
    sets: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        name, path = (name, path) if equals else (Path(text).name.partition(".")[0], text)
        if name in sets:
            raise InputError(
                f"--test {text}: {name!r} is the name of {sets[name]!r}; expected NAME=FILE with another name"
            )
        sets[name] = path
    return sets
