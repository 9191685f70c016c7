"""Curves: the fitted laws of a study, one for each strategy and pair of models, and their file.

How models are treated: every (strategy, encoder, LLM) has its own law. "Strategy S at C FLOPs" without a model means
the pair whose law predicts the lowest CER there; the answer names it, and its interval is that pair's. Pairs with too
few points to fit compete only where no pair has enough.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from analysis.cells import Cell, cells_of
from analysis.fitting import Fit, fit
from analysis.notes import Note, Status
from analysis.table import RUNS_FILE, Table, read_table
from scaling.errors import InputError, nearest

SCHEMA = 1
FITS_FILE = "fits.json"
DEFAULT_LOSS = "log_ls_screened"
"""Least squares of log errors, the maximum-likelihood fit for noise that is a share of the error, gross outliers set
aside.
"""
NARROW_DECADES = 2.0
FAR, VERY_FAR = 10.0, 100.0
# Of the chance score: a cell above this share has learnt next to nothing.
AT_CHANCE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The law of one strategy with one pair of models; `fit` is None where there are too few points for any law."""

    strategy: str
    encoder: str | None
    llm: str | None
    fit: Fit | None
    smallest_flops: float
    largest_flops: float
    notes: tuple[Note, ...]

    @property
    def status(self) -> Status:
        """The fit's status."""
        return "too_few_points" if self.fit is None or "too_few_points" in self._codes else self.fit.status

    @property
    def warnings(self) -> tuple[Note, ...]:
        """Notes on the points and on the fit."""
        return self.notes + (() if self.fit is None else self.fit.warnings)

    @property
    def label(self) -> str:
        """Strategy and models in words."""
        models = " + ".join(name for name in (self.encoder, self.llm) if name)
        return f"{self.strategy} ({models})" if models else self.strategy

    def cer(self, flops: float) -> float:
        """The curve at `flops`; NaN without a fit."""
        return math.nan if self.fit is None else float(self.fit.predict({"C": [flops]})[0])

    def extrapolation(self, flops: float) -> float:
        """`flops` over the largest fitted."""
        return flops / self.largest_flops

    @property
    def _codes(self) -> set[str]:
        return {note.code for note in self.notes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """All curves of one table, and the digest of the table they were fitted to."""

    source_sha256: str
    law: str | None
    loss: str
    curves: tuple[Curve, ...]
    notes: tuple[Note, ...]

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies fitted."""
        return tuple(dict.fromkeys(curve.strategy for curve in self.curves))

    def of(self, strategy: str | None = None, encoder: str | None = None, llm: str | None = None) -> tuple[Curve, ...]:
        """Curves of a strategy and models, where given. Raises InputError for a name that none has."""
        chosen = self.curves
        for field, wanted in (("strategy", strategy), ("encoder", encoder), ("llm", llm)):
            if wanted is not None:
                valid = {getattr(curve, field) or "none" for curve in chosen}
                if wanted not in valid:
                    raise InputError(f"{field}: no run has {wanted!r}{nearest(wanted, valid)}")
                chosen = tuple(curve for curve in chosen if getattr(curve, field) == wanted)
        return chosen

    def best(
        self, flops: float, strategy: str | None = None, encoder: str | None = None, llm: str | None = None
    ) -> Curve:
        """The curve with the lowest predicted CER at `flops`."""
        return lowest(self.of(strategy, encoder, llm), flops)


def lowest(curves: Sequence[Curve], flops: float) -> Curve:
    """The curve that predicts the lowest CER; one with too few points only where there is no other."""
    return min(curves, key=lambda curve: (curve.status == "too_few_points", curve.fit is None, curve.cer(flops)))


def fit_curves(table: Table, law: str | None = None, loss: str = DEFAULT_LOSS) -> Curves:
    """Fit every (strategy, encoder, LLM) of a table. Without `law`, the law is chosen by the number of points."""
    cells, notes = cells_of(table)
    if not cells:
        raise InputError(f"{table.path}: no row can be fitted; " + "; ".join(map(str, notes[:3])))
    curves = tuple(_fit_curve(list(group), law, loss) for _, group in groupby(cells, key=lambda cell: cell.curve))
    return Curves(source_sha256=digest(table.path), law=law, loss=loss, curves=curves, notes=notes)


def curves_of(path: Path) -> Curves:
    """The curves of a study's folder, from its fits.json where that is up to date, else fitted now (and stored).

    A table that is not a folder is fitted each time.
    """
    if not path.is_dir():
        return fit_curves(read_table(path))
    stored = _stored(path / FITS_FILE)
    if stored is not None and stored.source_sha256 == digest(path / RUNS_FILE):
        return stored
    fresh = fit_curves(
        read_table(path), law=stored.law if stored else None, loss=stored.loss if stored else DEFAULT_LOSS
    )
    store(fresh, path / FITS_FILE)
    return fresh


def store(curves: Curves, file: Path) -> None:
    """Write curves; readers never see half a file."""
    document = {
        "schema": SCHEMA,
        "source_sha256": curves.source_sha256,
        "law": curves.law,
        "loss": curves.loss,
        "notes": _dump_notes(curves.notes),
        "curves": [
            {
                "strategy": curve.strategy,
                "encoder": curve.encoder,
                "llm": curve.llm,
                "smallest_flops": curve.smallest_flops,
                "largest_flops": curve.largest_flops,
                "notes": _dump_notes(curve.notes),
                "fit": None if curve.fit is None else curve.fit.as_dict(),
            }
            for curve in curves.curves
        ],
    }
    draft = file.with_suffix(".json.part")
    draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
    draft.replace(file)


def digest(file: Path) -> str:
    """SHA-256 of a file. Raises InputError where it is missing."""
    if not file.exists():
        raise InputError(f"{file}: not found; expected a study's folder with {RUNS_FILE}")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def extrapolation_notes(curve: Curve, flops: float) -> list[Note]:
    """What to say about an answer at `flops`, given where the curve's points lie."""
    ratio = curve.extrapolation(flops)
    if ratio > VERY_FAR:
        return [Note("extrapolation_100x", f"{ratio:.0f} times the largest fitted run: the law may not hold there")]
    if ratio > FAR:
        return [Note("extrapolation_10x", f"{ratio:.1f} times the largest fitted run")]
    if flops < curve.smallest_flops:
        return [Note("below_data", f"{flops:.3g} FLOPs lie below the smallest fitted run, {curve.smallest_flops:.3g}")]
    return []


def _fit_curve(cells: Sequence[Cell], law: str | None, loss: str) -> Curve:
    flops = np.array([cell.flops for cell in cells])
    notes = list(_notes_on(cells))
    name = law or _law_for(len(set(flops)))
    fitted: Fit | None = None
    if name is None:
        notes.append(
            Note("too_few_points", f"{len(cells)} budget cannot show how the error falls; at least 2 are needed")
        )
    else:
        if law is None and name == "power":
            notes.append(
                Note(
                    "too_few_points", f"{len(cells)} budgets cannot show a floor: a power law without one; 4 are needed"
                )
            )
        fitted = fit(
            name,
            {"C": flops},
            np.array([cell.cer for cell in cells]),
            loss=loss,
            weights=np.array([float(cell.runs) for cell in cells]),
        )
    return Curve(
        strategy=cells[0].strategy,
        encoder=cells[0].encoder,
        llm=cells[0].llm,
        fit=fitted,
        smallest_flops=float(flops.min()),
        largest_flops=float(flops.max()),
        notes=tuple(notes),
    )


def _law_for(budgets: int) -> str | None:
    """A floor needs four budgets: three parameters and a degree of freedom to judge them by."""
    return None if budgets < 2 else "power" if budgets < 4 else "power_floor"


def _notes_on(cells: Sequence[Cell]) -> Iterable[Note]:
    decades = math.log10(max(cell.flops for cell in cells) / min(cell.flops for cell in cells))
    if decades < NARROW_DECADES:
        yield Note("narrow_range", f"budgets span {decades:.2f} decades; at least {NARROW_DECADES:.0f} are wanted")
    lost = sum(cell.cer >= AT_CHANCE * cell.chance for cell in cells)
    if lost == len(cells):
        yield Note("all_at_chance", "no run has learnt: every CER is near that of a model that knows nothing")
    elif lost:
        yield Note("some_at_chance", f"{lost} of {len(cells)} budgets are near chance, where a power law does not hold")


def _stored(file: Path) -> Curves | None:
    """Curves read from a file; None where there is none or it belongs to another version."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if document.get("schema") != SCHEMA:
        return None
    return Curves(
        source_sha256=document["source_sha256"],
        law=document["law"],
        loss=document["loss"],
        notes=_load_notes(document["notes"]),
        curves=tuple(
            Curve(
                strategy=entry["strategy"],
                encoder=entry["encoder"],
                llm=entry["llm"],
                fit=None if entry["fit"] is None else Fit.from_dict(entry["fit"]),
                smallest_flops=entry["smallest_flops"],
                largest_flops=entry["largest_flops"],
                notes=_load_notes(entry["notes"]),
            )
            for entry in document["curves"]
        ),
    )


def _dump_notes(notes: Sequence[Note]) -> list[list[str]]:
    return [[note.code, note.message] for note in notes]


def _load_notes(document: Sequence[Any]) -> tuple[Note, ...]:
    return tuple(Note(code, message) for code, message in document)
