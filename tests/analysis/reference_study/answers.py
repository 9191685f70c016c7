"""All answers of the study as one document, numbers to five digits."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reference_study.comparisons import gains
from reference_study.designs import designs
from reference_study.laws import hidden_together, laws, registered
from reference_study.simplified import by_six_nd, single_seed, untuned
from reference_study.tables import MAIN, Study, places, read_studies

DIGITS = 5


def answers(folder: Path) -> dict[str, Any]:
    """What the tables in `folder`/parts say to each question; what is not trained yet is said, not left out."""
    return {**quick_answers(folder), "designs": rounded(designs(read_studies(folder / "parts")[MAIN]))}


def quick_answers(folder: Path) -> dict[str, Any]:
    """All but the designs, which take most of the time."""
    by_name = read_studies(folder / "parts")
    studies, every_place = list(by_name.values()), places(by_name)
    prices = folder / "six_nd.json"
    document = {
        "studies": [state(study) for study in studies],
        "laws": laws(studies),
        "hidden": hidden_together(studies),
        "registered": registered(folder, studies),
        "gains": gains(every_place),
        "untuned": untuned(folder / "tuning"),
        "six_nd": by_six_nd(every_place, json.loads(prices.read_text("utf-8")) if prices.exists() else {}),
        "single_seed": single_seed(studies),
    }
    return rounded(document)


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
