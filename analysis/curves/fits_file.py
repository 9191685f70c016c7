"""The file of a study's fits: fits are stored beside the runs, and read while the runs have not changed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.curves.curve_fitting import DEFAULT_LOSS, fit_curves
from analysis.curves.curves import Curve, Curves
from analysis.curves.seed_noise import RunNoise
from analysis.fitting.backtest import Calibration
from analysis.fitting.fit import Fit
from analysis.forecasting.outlook import Outlook
from analysis.notes import Note
from analysis.tables.table import file_sha256, read_table
from scaling.errors import InputError
from scaling.ledger.records import RUNS_FILE
from scaling.system.json_files import read_json

SCHEMA = 5
"""The version of a file of fits."""

FITS_FILE = "fits.json"
"""The file of a study's fits, in the study's folder."""


def curves_of(path: Path) -> Curves:
    """The curves of a study's folder, from its fits.json where that is up to date, else fitted now (and stored).

    A table is fitted each time; a file of fits (`fit --out`) is read as it is.
    """
    if path.suffix == ".json" and path.is_file() and (fits := _read_fits(path)) is not None:
        return fits
    if not (path / RUNS_FILE).exists():
        return fit_curves(read_table(path))
    stored = _read_fits(path / FITS_FILE)
    if stored is not None and stored.source_sha256 == file_sha256(path / RUNS_FILE):
        return stored
    fresh = fit_curves(
        read_table(path), law=stored.law if stored else None, loss=stored.loss if stored else DEFAULT_LOSS
    )
    write_fits(fresh, path / FITS_FILE)
    return fresh


def write_fits(curves: Curves, file: Path) -> None:
    """Write the fits of `curves` to `file`; readers never see half a file."""
    from scaling.system.atomic_files import write_text_atomically

    document = {
        "schema": SCHEMA,
        "source_sha256": curves.source_sha256,
        "law": curves.law,
        "loss": curves.loss,
        "notes": _dump_notes(curves.notes),
        "named": dict(curves.named),
        "set_aside": list(curves.set_aside),
        "curves": [
            {
                "strategy": curve.strategy,
                "encoder": curve.encoder,
                "llm": curve.llm,
                "domain": curve.domain,
                "calibration": None if curve.calibration is None else curve.calibration.as_dict(),
                "notes": _dump_notes(curve.notes),
                "noise": None if curve.noise is None else asdict(curve.noise),
                "fit": None if curve.fit is None else curve.fit.as_dict(),
                "outlook": None if curve.outlook is None else curve.outlook.as_dict(),
                "of_all_runs": None if curve.of_all_runs is None else curve.of_all_runs.as_dict(),
            }
            for curve in curves.curves
        ],
    }
    write_text_atomically(file, json.dumps({**document, "sha256": _checksum(document)}, indent=1) + "\n")


def _read_fits(file: Path) -> Curves | None:
    """Curves read from a file; None where there is none, or it is damaged or belongs to another version."""
    try:
        document = read_json(file)
    except InputError:
        return None
    intact = document.pop("sha256", None) == _checksum(document)
    return _load(document) if intact and document["schema"] == SCHEMA else None


def _checksum(document: Mapping[str, Any]) -> str:
    """The SHA-256 of a document of fits: a file that was changed after `write_fits` is not trusted."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _load(document: Mapping[str, Any]) -> Curves:
    return Curves(
        source_sha256=document["source_sha256"],
        law=document["law"],
        loss=document["loss"],
        notes=_load_notes(document["notes"]),
        named=document["named"],
        set_aside=tuple(document["set_aside"]),
        curves=tuple(
            Curve(
                strategy=entry["strategy"],
                encoder=entry["encoder"],
                llm=entry["llm"],
                fit=None if entry["fit"] is None else Fit.from_dict(entry["fit"]),
                domain={name: (ends[0], ends[1]) for name, ends in entry["domain"].items()},
                calibration=None if entry["calibration"] is None else Calibration.from_dict(entry["calibration"]),
                notes=_load_notes(entry["notes"]),
                noise=None if entry["noise"] is None else RunNoise(**entry["noise"]),
                outlook=None if entry["outlook"] is None else Outlook.from_dict(entry["outlook"]),
                of_all_runs=None if entry["of_all_runs"] is None else Outlook.from_dict(entry["of_all_runs"]),
            )
            for entry in document["curves"]
        ),
    )


def _dump_notes(notes: Sequence[Note]) -> list[list[str]]:
    return [[note.code, note.message] for note in notes]


def _load_notes(document: Sequence[Any]) -> tuple[Note, ...]:
    return tuple(Note(code, message) for code, message in document)
