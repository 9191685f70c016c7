"""The tables of the reference study as they were committed: which runs are there, and which were planned.

`results/reference/parts/STUDY-BLOCK.jsonl` hold rows of runs.jsonl. A part is one block of training; a study is all of
its parts together.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analysis.curves.curve_fitting import fit_curves
from analysis.curves.curves import Curves
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import Table
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.errors import InputError
from scaling.ledger.records import is_usable
from sweeps.finished.merge_tables import merge_tables
from sweeps.study.study_file import read_study_file

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results" / "reference"
PARTS = RESULTS / "parts"
PRICES = "six_nd.json"

MAIN = "reference"
RETUNED = "reference_retuned"
"""The main axis once more, with rates that were searched at larger budgets."""
AXES = ("noisy", "telephone", "sizes", "few_hours", "english")
STUDIES = (MAIN, *(f"reference_{axis}" for axis in AXES), RETUNED)
BASELINE, ENCODER_FIRST, FROZEN = "joint", "efin", "frozen_encoder"
DECADE = 10.0

Pair = tuple[str, str]
"""An encoder and an LLM."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study: what its file plans, and the rows that are there (`table`; None: none yet)."""

    name: str
    budgets: tuple[float, ...]
    pairs: tuple[Pair, ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    hours: float
    cooldown: float
    table: Table | None

    @property
    def planned_runs(self) -> int:
        return len(self.budgets) * len(self.pairs) * len(self.strategies) * len(self.seeds)

    @property
    def trained_runs(self) -> int:
        return 0 if self.table is None else sum(map(is_usable, self.table.rows))

    @cached_property
    def curves(self) -> Curves | None:
        """The fits of all rows, as `asr-scaling fit` makes them; None without rows."""
        return None if self.table is None else fit_curves(self.table)

    def trained_budgets(self, pair: Pair) -> tuple[float, ...]:
        """Budgets at which every strategy of the study has a run of this pair of models, smallest first."""
        of_each = [
            {row["budget_flops"] for row in self._ok(pair) if row["strategy"] == strategy}
            for strategy in self.strategies
        ]
        return tuple(sorted(set.intersection(*of_each)))

    def top(self, pair: Pair) -> float | None:
        """The largest such budget; None without any."""
        return max(self.trained_budgets(pair), default=None)

    def of(self, pair: Pair) -> Table | None:
        """The rows of one pair of models."""
        if self.table is None:
            return None
        kept = [i for i, row in enumerate(self.table.rows) if (row["encoder"], row["llm"]) == pair]
        return self.table.select(kept) if kept else None

    def _ok(self, pair: Pair) -> Iterator[dict]:
        table = self.of(pair)
        return (row for row in (table.rows if table else ()) if is_usable(row))


def read_studies(parts: Path) -> dict[str, Study]:
    """Every study of `STUDIES`, with the rows of its tables in the folder `parts`, merged as `asr-scaling merge` does.

    Raises InputError where `merge` does, and where a part has a row of another study.
    """
    return {name: _study(name, parts, merged(name, sorted(parts.glob(f"{name}-*.jsonl")))) for name in STUDIES}


def merged(name: str, parts: Sequence[Path]) -> list[dict]:
    """The rows of a study from its parts."""
    if not parts:
        return []
    with tempfile.TemporaryDirectory() as folder:
        rows = [dict(row) for row in merge_tables(parts, Path(folder))]
    for row in rows:
        if row["study"] != name:
            raise InputError(f"{parts[0].parent}/{name}-*.jsonl: run {row['key']} is of study {row['study']!r}")
    return rows


def _study(name: str, parts: Path, rows: Sequence[dict]) -> Study:
    fields = read_study_file(name, ()).fields
    strategies = [
        one if isinstance(one, str) else (one.name or getattr(one, "preset", "")) for one in fields.strategies
    ]
    return Study(
        name=name,
        budgets=tuple(float(budget) for budget in sorted(fields.budgets_flops)),
        pairs=tuple((model.encoder, model.llm) for model in fields.models),
        strategies=tuple(strategies),
        seeds=fields.seeds,
        hours=fields.data.hours,
        cooldown=fields.cooldown,
        table=table_of(rows, parts) if rows else None,
    )


def table_of(rows: Sequence[dict], parts: Path = PARTS) -> Table:
    """Rows as the analysis takes them."""
    return Table(path=parts, rows=tuple(rows), lines=tuple(range(1, len(rows) + 1)))


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place on one of the axes along which encoder-first training is judged: a pair of models of a study."""

    axis: str
    label: str
    study: Study
    pair: Pair

    @property
    def head(self) -> dict[str, object]:
        """What every answer about this place begins with."""
        encoder, llm = self.pair
        return {"axis": self.axis, "place": self.label, "study": self.study.name, "encoder": encoder, "llm": llm}

    @property
    def trained(self) -> bool:
        """Whether there is a budget at which all strategies can be compared."""
        return self.study.top(self.pair) is not None


def places(studies: dict[str, Study]) -> list[Place]:
    """Every place of every axis, as planned; the main study stands on each axis."""
    main, (pair,) = studies[MAIN], studies[MAIN].pairs

    def place(axis: str, label: str, name: str) -> Place:
        return Place(axis=axis, label=label, study=studies[name], pair=studies[name].pairs[0])

    sizes = studies["reference_sizes"]
    of_size = [(main, pair), *((sizes, other) for other in sizes.pairs)]
    return [
        place("shift", "weak: known voices, louder noise", "reference_noisy"),
        place("shift", "medium: unknown voices", MAIN),
        place("shift", "strong: unknown voices, telephone", "reference_telephone"),
        *(
            Place(axis="size", label=f"LLM {ratio_of_sizes(own):.2g} times the encoder", study=study, pair=own)
            for study, own in sorted(of_size, key=lambda each: ratio_of_sizes(each[1]))
        ),
        place("hours", f"{studies['reference_few_hours'].hours:g} h of speech", "reference_few_hours"),
        place("hours", f"{main.hours:g} h of speech", MAIN),
        place("language", "Mandarin", MAIN),
        place("language", "English", "reference_english"),
        place("recipe", "rates searched at 4e10 and 1.6e11", MAIN),
        place("recipe", "rates searched at 2.5e11 and 1e12", RETUNED),
    ]


def ratio_of_sizes(pair: Pair) -> float:
    """Parameters of the LLM over those of the encoder, with embeddings."""
    encoder, llm = pair
    return find_llm(llm, ROOT).dims.params / find_encoder(encoder, ROOT).dims.encoder_params


def hearing(table: Table, pair: Pair, budget: float, strategies: Sequence[str]) -> dict[str, list[int]]:
    """How many runs of each strategy at a budget hear the speech, or may hear it, and how many there are."""
    found = {}
    for name in strategies:
        asked, point = (*pair, name, budget), ("encoder", "llm", "strategy", "budget_flops")
        runs = [row for row in table.rows if is_usable(row) and tuple(row[each] for each in point) == asked]
        found[name] = [sum(row.get("hears") is not False for row in runs), len(runs)]
    return found


def mean_errors(table: Table, pair: Pair, budget: float) -> dict[str, float]:
    """The mean CER over seeds of each strategy, as measured at a budget."""
    points, _ = points_of(table)
    return {
        point.strategy: point.cer
        for point in points
        if (point.encoder, point.llm) == pair and table.rows[point.rows[0]]["budget_flops"] == budget
    }
