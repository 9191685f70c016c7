"""What columns are called by those who made a table, and what is meant: `train_flops`, `Compute (EFLOPs)`, `eval/cer`.

Nothing here sees a value. A name is cut into words; a meaning has words that name it, best first, and words that name
something else.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.tables.understanding.values import FLOP_UNITS, MAGNITUDES, PF_DAY, PLAIN, PREFIXES

PERCENT_WORDS = frozenset(("%", "percent", "pct", "percentage"))
"""Words of a name that say that its values are percentages."""

TRAINING_WORDS = frozenset(("train", "training"))
"""An error with these was measured on training data, and is taken only where there is no other."""

GROUP_NAMES = (
    "strategy", "recipe", "method", "system", "model", "approach", "variant", "setup", "config", "architecture", "arch",
    "family", "condition", "treatment", "experiment", "group", "series",
)  # fmt: skip
"""Names of columns of text that part rows into curves, the usual ones first."""

LABEL_NAMES = frozenset((
    "name", "run", "run name", "run id", "id", "key", "uid", "notes", "note", "comment", "user", "author", "tags",
    "created", "updated", "date", "time", "timestamp", "runtime", "sweep", "state", "status", "host", "hostname",
    "node", "gpu", "device", "hardware", "commit", "git", "path", "url", "checkpoint", "file", "log", "seed", "reason",
    "precision",
))  # fmt: skip
"""Names of columns of text that describe a run and part no curves."""

MULTIPLIERS = {
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "quadrillion": 1e15,
    "quintillion": 1e18,
    **PREFIXES,
    **MAGNITUDES,
}
"""Words and letters of a name that multiply its numbers: `params_millions`, `Tokens (B)`."""

_STATISTICS = frozenset((
    "std", "stdev", "sd", "se", "sem", "stderr", "var", "ci", "low", "high", "lower", "upper", "interval", "delta",
    "relative", "rel", "reduction", "chance", "time", "seconds", "count", "num", "bound", "gap", "improvement",
))  # fmt: skip
_RATES = frozenset(("per", "s", "sec", "second", "seconds", "rate", "util", "utilization", "mfu", "peak", "achieved"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a column of numbers may mean: `kinds` are sets of words, the best first, of which one names it; a word of
    one letter must be the whole name, but for a logarithm. `neutral` words change nothing, `others` name something
    else. `says` is the meaning in words, `option` its name in --columns.
    """

    column: str
    says: str
    option: str
    kinds: tuple[frozenset[str], ...]
    neutral: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


_FLOPS = frozenset((*FLOP_UNITS, *(f"{unit}s" for unit in FLOP_UNITS)))
MEANINGS = (
    Meaning(
        column="flops",
        says="training FLOPs",
        option="C",
        kinds=(_FLOPS, frozenset(("compute", "c")), frozenset(("budget",))),
        others=_RATES
        | frozenset(("pretrain", "pretraining", "executed", "cache", "credited", "inference", "forward", "convention"))
        | frozenset(
            ("usd", "dollars", "eur", "cost", "price", "hours", "gpu", "time", "optimal", "promised", "device")
        ),
    ),
    Meaning(
        column="cer",
        says="the error",
        option="y",
        kinds=(frozenset(("cer",)), frozenset(("wer",)), frozenset(("error", "err")), frozenset(("loss", "nll"))),
        neutral=PERCENT_WORDS | frozenset(("rate", "character", "char", "word")),
        others=_STATISTICS | frozenset(("errors", "type", "message", "log", "scale", "fn", "function")),
    ),
    Meaning(
        column="N",
        says="parameters",
        option="N",
        kinds=(frozenset(("params", "parameters", "param", "parameter", "n")), frozenset(("size",))),
        neutral=frozenset(("num", "number", "of", "count", "total", "model", "n")),
        others=_RATES | frozenset(("encoder", "llm", "lora", "asr", "decoder", "projector", "batch", "near", "vocab")),
    ),
    Meaning(
        column="D",
        says="training tokens",
        option="D",
        kinds=(frozenset(("tokens", "token", "d")),),
        neutral=frozenset(("num", "number", "of", "count", "total", "train", "training", "seen", "n")),
        others=_RATES | frozenset(("batch", "vocab", "max", "text", "prompt", "target", "length")),
    ),
)
"""The columns of numbers that laws are fitted to, by the name that analysis gives them."""

_ERROR = next(meaning for meaning in MEANINGS if meaning.column == "cer")

TEXTS = {
    "seed": ("seed", "random seed", "rng seed"),
    "strategy": ("strategy",),
    "encoder": ("encoder",),
    "llm": ("llm",),
    "budget_flops": ("budget flops",),
    "ref_chars": ("ref chars",),
    "ref_words": ("ref words",),
    "status": ("status", "state", "run state"),
    "name": ("name", "run name", "run", "trial id"),
}
"""Other columns that analysis knows, and what they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCandidate:
    """A column that may have a meaning: the lower its rank, the better. Its values are to be multiplied by `factor`,
    after those that are logarithms, named by `logarithm`, are raised; `unit` is the unit that the user named.
    """

    rank: tuple[bool, int, bool]
    name: str
    factor: float = 1.0
    logarithm: str | None = None
    percent: bool = False
    loss: bool = False
    unit: str | None = None


def words(name: str) -> list[str]:
    """The words of a column's name, in lower case.

    >>> words("throughput/total_gflops"), words("CER (%)"), words("trainFLOPs")
    (['throughput', 'total', 'gflops'], ['cer', '%'], ['train', 'flops'])
    """
    return re.findall(r"[a-z0-9]+|%", re.sub(r"(?<=[a-z])(?=[A-Z]{2}|[A-Z][a-z])", " ", name).lower())


def error_name(column: str) -> str:
    """What to call the error in a column, which is seldom a CER where its name says something else.

    >>> error_name("eval/cer"), error_name("WER (%)"), error_name("val_loss"), error_name("score")
    ('CER', 'WER', 'loss', 'error')
    """
    column_words = words(column)
    names = {"cer": "CER", "wer": "WER", "loss": "loss", "nll": "loss"}
    return next((name for word, name in names.items() if word in column_words), "error")


DEVICES = frozenset(("gpu", "gpus", "tpu", "device", "compute", "accelerator", "cpu", "core", "node", "machine"))
"""Words of what trains."""

LOGARITHMS = ("log10", "lg", "ln", "log")
"""Words of a name that say that its values are logarithms; of which base, `log` alone leaves open."""

RATE = re.compile(r"\b[KMGTPEZY]FLOPS\b")
"""A name that may say FLOPs a second, `TFLOPS`; beside a column of FLOPs it is not preferred."""

_POWER = re.compile(r"(?:[x\u00d7*]\s*)?\b(?:1e|10\^|10\*\*)\+?(\d+)\b", re.IGNORECASE)
_RAISED = re.compile("10(?=[\u2070\u00b9\u00b2\u00b3\u2074-\u2079])")
_LOG_10 = re.compile(r"\blog[\s_]*10(?!\d)", re.IGNORECASE)
_PF_DAYS = re.compile(r"\b(?:pf|pflops?|petaflops?)(?:/s|ps|s)?[\s_-]*days?\b", re.IGNORECASE)


def is_device_time(column: str) -> bool:
    """Whether a column is called the time that devices took.

    >>> is_device_time("GPU hours"), is_device_time("train_hours")
    (True, False)
    """
    spoken = {*words(column)}
    return bool(spoken & {"hours", "hour", "days", "h"}) and bool(spoken & DEVICES)


def names_an_error(column: str) -> bool:
    """Whether a column is called an error, a loss, or a statistic of one.

    >>> names_an_error("dev_cer"), names_an_error("WER std"), names_an_error("layers")
    (True, True, False)
    """
    return any({*words(column)} & kind for kind in _ERROR.kinds)


SUMMARY = re.compile(r"(\.|__|/|_)(min|max|mean|last|std)$", re.IGNORECASE)
"""The end of a name of a column that sums up another, as trackers export them."""


def candidate(meaning: Meaning, name: str, *, chosen: bool = False) -> ColumnCandidate | None:
    """How well a column's name says `meaning`; None where it says something else. A column that the user has `chosen`
    has the meaning, and its name says only the unit; what is chosen as the error without being called one may be a
    loss.
    """
    spoken, factor = _factor(name)
    for rank, kind in enumerate(meaning.kinds):
        whole = len([word for word in spoken if word not in LOGARITHMS]) == 1
        named = [word for word in spoken if word in kind and (len(word) > 1 or whole)]
        if not named and not (chosen and rank == len(meaning.kinds) - 1):
            continue
        rest = set(spoken) - set(named) - meaning.neutral
        logarithm = next((word for word in LOGARITHMS if word in rest), None)
        if meaning.column != "cer":
            for word in [word for word in rest if word.removesuffix("s") in MULTIPLIERS]:
                factor, rest = factor * MULTIPLIERS[word.removesuffix("s")], rest - {word}
        if rest & meaning.others and not chosen:
            return None
        on_training_data = meaning.column == "cer" and bool(rest & TRAINING_WORDS)
        return ColumnCandidate(
            rank=(on_training_data, rank, bool(rest) or RATE.search(name) is not None),
            name=name,
            factor=factor * FLOP_UNITS.get(named[0].removesuffix("s") if named else "", 1.0),
            logarithm=logarithm,
            percent=bool(PERCENT_WORDS & set(spoken)),
            loss=meaning.column == "cer" and rank == len(meaning.kinds) - 1,
        )
    return None


def column_candidates(meaning: Meaning, names: Sequence[str]) -> list[ColumnCandidate]:
    """Columns that may have a meaning, best first; no summary beside its own column (W&B's `eval/cer__MIN`)."""
    there = set(names)
    own = [name for name in dict.fromkeys(names) if SUMMARY.sub("", name) not in there - {name}]
    return sorted(
        (fitting for name in own if (fitting := candidate(meaning, name))),
        key=lambda fitting: (fitting.rank, RATE.search(fitting.name) is not None),
    )


def text_column(column: str, names: Iterable[str]) -> str | None:
    """The first column that is called one of the names of `column` in `TEXTS`."""
    return next((name for called in TEXTS[column] for name in names if " ".join(words(name)) == called), None)


def _factor(name: str) -> tuple[list[str], float]:
    """The words of a name, and what a multiplier in it says: `FLOPs (1e18)`, `compute x 10^18`, `PF-days`."""
    plain = _LOG_10.sub("log10", _RAISED.sub("10^", name).translate(PLAIN))
    if _PF_DAYS.search(plain):
        return words(_PF_DAYS.sub(" flops ", plain)), PF_DAY
    power = _POWER.search(plain)
    if power is None:
        return words(plain), 1.0
    return words(plain[: power.start()] + " " + plain[power.end() :]), 10.0 ** int(power[1])
