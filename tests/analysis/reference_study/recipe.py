"""Whether the recipe holds back large budgets: runs of the main axis, trained again with another batch or other rates.

`results/reference/tuning/NAME.jsonl` hold such rows, one file for each change; dev judges, as in every choice.
"""

from pathlib import Path

from reference_study.tables import Study

from analysis.tables.table import Row
from scaling.ledger.records import is_usable
from scaling.system.json_files import read_json_lines

CHANGES = {
    "batch-4x": "four times the batch",
    "batch-16x": "sixteen times the batch",
    "half-rates": "half of every rate",
}
"""File names of the changes, and what each is in words."""


def recipe(folder: Path, main: Study) -> list[dict[str, object]]:
    """For each run that was trained again its CERs on dev and test, and those of the run by the recipe of the study."""
    if main.table is None:
        return []
    own = {_run(row): row for row in main.table.rows if is_usable(row)}
    return [
        {
            "change": words,
            "strategy": row["strategy"],
            "flops": row["budget_flops"],
            "seed": row["seed"],
            "dev_cer": row["dev_cer"],
            "cer": row["cer"],
            "dev_cer_of_the_study": own[_run(row)]["dev_cer"],
            "cer_of_the_study": own[_run(row)]["cer"],
        }
        for name, words in CHANGES.items()
        if (file := folder / f"{name}.jsonl").exists()
        for _, row in read_json_lines(file)
        if is_usable(row) and _run(row) in own
    ]


def _run(row: Row) -> tuple[object, ...]:
    return row["strategy"], row["budget_flops"], row["seed"]
