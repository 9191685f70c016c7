"""All answers of the study as one document, numbers to five digits."""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from reference_study.comparisons import gains
from reference_study.designs import designs
from reference_study.laws import hidden_together, laws, registered
from reference_study.recipe import recipe
from reference_study.simplified import by_six_nd, dev_characters, single_seed, untuned
from reference_study.tables import MAIN, PRICES, Study, places, read_studies

from analysis.registering.record import FORECASTS_FILE
from analysis.registering.register import table_digest
from analysis.tables.table import file_sha256

DIGITS = 5


QUESTIONS = (
    "studies",
    "laws",
    "hidden",
    "registered",
    "gains",
    "untuned",
    "six_nd",
    "single_seed",
    "designs",
    "recipe",
)


def answers(folder: Path, questions: Collection[str] = QUESTIONS) -> dict[str, Any]:
    """What the tables in `folder`/parts say to each question; what is not trained yet is said, not left out.

    `read` is a digest of all that was read. `designs` take half of the time.
    """
    by_name = read_studies(folder / "parts")
    studies, every_place = list(by_name.values()), places(by_name)
    asked: dict[str, Callable[[], Any]] = {
        "studies": lambda: [state(study) for study in studies],
        "laws": lambda: laws(studies),
        "hidden": lambda: hidden_together(studies),
        "registered": lambda: registered(folder, studies),
        "gains": lambda: gains(every_place),
        "untuned": lambda: untuned(folder / "tuning", dev_characters(by_name[MAIN])),
        "six_nd": lambda: by_six_nd(every_place, prices(folder)),
        "single_seed": lambda: single_seed(studies),
        "designs": lambda: designs(by_name[MAIN]),
        "recipe": lambda: recipe(folder / "tuning", by_name[MAIN]),
    }
    return {
        "read": digest_of(studies, folder),
        **{name: rounded(asked[name]()) for name in QUESTIONS if name in questions},
    }


def digest_of(studies: Sequence[Study], folder: Path) -> str:
    """SHA-256 of what answers rest on: the rows of every study, whatever their parts, and the other files."""
    whole = hashlib.sha256()
    for study in studies:
        whole.update(table_digest(() if study.table is None else study.table.rows, math.inf).encode())
    others = [*folder.rglob(FORECASTS_FILE), *folder.glob("tuning/*.json*"), *folder.glob(PRICES)]
    for file in sorted(others):
        whole.update(f"{file.relative_to(folder)} {file_sha256(file)}".encode())
    return whole.hexdigest()


def prices(folder: Path) -> dict[str, Any]:
    """What a second of audio costs by 6ND, where that is known."""
    file = folder / PRICES
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def state(study: Study) -> dict[str, Any]:
    """What is there of what was planned."""
    rows = () if study.table is None else study.table.rows
    return {
        "study": study.name,
        "planned_runs": study.planned_runs,
        "trained_runs": study.trained_runs,
        "planned_top_flops": study.budgets[-1],
        "largest_trained_flops": max((row["budget_flops"] for row in rows), default=None),
        "seeds": len({row["seed"] for row in rows}),
        "charged_flops": sum(row.get("flops") or 0 for row in rows),
        "spent_flops": sum((row.get("spent") or {}).get("flops", 0) for row in rows),
        "spent_hours": sum((row.get("spent") or {}).get("seconds", 0.0) for row in rows) / 3600.0,
    }


def rounded(value: Any) -> Any:
    """The same as plain JSON data, floats to five digits; null for what is no finite number."""
    if isinstance(value, dict):
        return {str(name): rounded(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
