"""The file of a study's fits: fits are stored beside the runs, and read while the runs have not changed."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from analysis.curves.curve_fitting import DEFAULT_LOSS, fit_curves
from analysis.curves.curves import Curve, Curves
from analysis.curves.fits import Fits
from analysis.curves.seed_noise import RunNoise
from analysis.fitting.backtest import Calibration
from analysis.fitting.fit import Fit
from analysis.fitting.laws import law_in, law_named
from analysis.fitting.losses import loss_named
from analysis.forecasting.outlook import Outlook
from analysis.notes import Note
from analysis.tables.choice import EVERYTHING, Choice
from analysis.tables.stored_table import dump_table, load_table, named_again
from analysis.tables.table import Table, file_sha256, read_table, understood
from scaling.errors import InputError
from scaling.ledger.records import RUNS_FILE
from scaling.system.json_files import read_json

SCHEMA = 5
"""The version of a file of fits."""

FITS_FILE = "fits.json"
"""The file of a study's fits, in the study's folder."""

Source = Path | Table
"""Where runs come from: what `read_table` takes, a file of fits, or rows in memory, not yet understood."""

PLACE = "{table}:"
"""In the fits of a study these characters stand in the place of the table's path and a colon, because fits do not
depend on the folder of the study."""

_FITS_BEGIN = re.compile(rb'\s*\{\s*"schema":\s*\d+,\s*"source_sha256"')
"""How every file of fits begins, whatever its name."""


def fits_of(source: Source, choice: Choice = EVERYTHING, baseline: str | None = None) -> Fits:
    """The fits of a source: of a study's folder from its fits.json where that is up to date, else fitted now (and
    stored); of a table fitted now; of a file that `write_fits` wrote, with its table, as they stand there.

    Where rows or columns are chosen, laws are fitted to these now. With a strategy chosen, `baseline` is one more that
    is kept. Raises InputError where a source, a column, a row or a curve is not as expected.
    """
    if isinstance(source, Table):
        return new_fits(source, choice, baseline=baseline)
    file = fits_file(source)
    if choice.is_of_rows or (file is None and not (source / RUNS_FILE).exists()):
        stored = None if file is None else _stored_curves(file, read_json(file))
        return new_fits(source, choice, stored.law if stored else None, stored.loss if stored else None, baseline)
    if file is None:
        return Fits(curves=_curves_of_study(source), read=partial(read_table, source)).of(choice, baseline)
    document = read_json(file)
    return Fits(curves=_stored_curves(file, document), read=partial(_stored_table, file, document)).of(choice, baseline)


def fits_at(source: Source, choice: Choice, columns: Collection[str]) -> Fits:
    """The fits of a source that answer at places in `columns`: of runs, those of the one law in just these columns,
    made now; else, and of a file of fits, as `fits_of`. Raises InputError as that does.
    """
    law = law_in(columns)
    if law is None or (isinstance(source, Path) and fits_file(source) is not None):
        return fits_of(source, choice)
    return new_fits(source, choice, law.name)


def new_fits(
    source: Source, choice: Choice, law: str | None = None, loss: str | None = None, baseline: str | None = None
) -> Fits:
    """The fits of a source, made now. A law in other columns than FLOPs spans models, so it is fitted to the runs of
    the models chosen alone. Raises InputError as `fits_of` does, and for an unknown law or loss.
    """
    columns = law_named(law).columns if law else ("C",)
    in_compute = columns == ("C",)
    table = table_of(source, choice, columns)
    if not in_compute:
        table = choice.rows_of_curves(table)
    curves = fit_curves(table, law=law and law_named(law).name, loss=loss_named(loss or DEFAULT_LOSS).name)
    fits = Fits(curves=curves, read=lambda: table)
    return fits.of(choice, baseline) if in_compute else fits


def table_of(source: Source, choice: Choice, law_columns: tuple[str, ...]) -> Table:
    """The rows chosen of a source, or of those that a file of fits holds, for `law_columns`. Raises as `fits_of`."""
    if isinstance(source, Table):
        return choice.of(understood(source, False, choice.sources), law_columns)
    file = fits_file(source)
    if file is None:
        return choice.table(source, law_columns)
    return choice.of(named_again(_stored_table(file, read_json(file)), choice.sources), law_columns)


def curves_of(path: Path) -> Curves:
    """The curves of a source, see `fits_of`."""
    return fits_of(path).curves


def fits_file(source: Path) -> Path | None:
    """The file of fits that `source` is, or that a folder without runs holds; None for any other source."""
    file = source / FITS_FILE if source.is_dir() and not (source / RUNS_FILE).exists() else source
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return file if _FITS_BEGIN.match(opened.read(100)) else None


def place_of_fits(out: Path, source: Path, choice: Choice) -> Path:
    """Where `fit --out` writes: `out`, or fits.json in a folder.

    Raises InputError where its folder is not there, for a file that holds anything but fits, and for a study's folder,
    whose fits.json is read only where it is of all runs of this study.
    """
    file = out / FITS_FILE if out.is_dir() else out
    if out.is_dir() and (out / RUNS_FILE).exists() and (choice != EVERYTHING or out.resolve() != source.resolve()):
        raise InputError(f"--out {out}: a study's folder keeps the fits of all its own runs; name a file")
    if not file.parent.is_dir():
        raise InputError(f"--out {file}: there is no folder {file.parent}")
    if file.exists() and not (file.is_file() and (file.stat().st_size == 0 or fits_file(file) is not None)):
        raise InputError(f"--out {file}: the file holds something else than fits; name another")
    return file


def _stored_curves(file: Path, document: Mapping[str, Any]) -> Curves:
    curves = _intact(document, file)
    if curves is None:
        raise InputError(f"{file}: fits of another version, or changed since they were written; fit the data again")
    return curves


def _stored_table(file: Path, document: Mapping[str, Any]) -> Table:
    if not document.get("table"):
        raise InputError(f"{file}: fits without their table; give the table, or fit it again with `fit --out`")
    return load_table(document["table"])


def _curves_of_study(folder: Path) -> Curves:
    stored = _read_fits(folder / FITS_FILE)
    if stored is not None and stored.source_sha256 == file_sha256(folder / RUNS_FILE):
        return stored
    fresh = fit_curves(
        read_table(folder), law=stored.law if stored else None, loss=stored.loss if stored else DEFAULT_LOSS
    )
    write_fits(fresh, folder / FITS_FILE)
    return fresh


def write_fits(curves: Curves, file: Path, table: Table | None = None) -> None:
    """Write fits to `file`, with the table fitted where it does not stand beside; readers never see half a file."""
    from scaling.system.atomic_files import write_text_atomically

    document: dict[str, object] = {
        "schema": SCHEMA,
        "source_sha256": curves.source_sha256,
        "law": curves.law,
        "loss": curves.loss,
        "notes": _dump_notes(curves.notes),
        "named": dict(curves.named),
        "set_aside": list(curves.set_aside),
        "curves": [
            {
                **curve.names,
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
    if table is None:
        document = _with_path(document, f"{file.parent / RUNS_FILE}:", PLACE)
    else:
        document["table"] = dump_table(table)
    write_text_atomically(file, json.dumps({**document, "sha256": _checksum(document)}, indent=1) + "\n")


def _read_fits(file: Path) -> Curves | None:
    """Curves read from a file; None where there is none, or it is damaged or belongs to another version."""
    try:
        document = read_json(file)
    except InputError:
        return None
    return _intact(document, file)


def _intact(document: Mapping[str, Any], file: Path) -> Curves | None:
    content = {name: value for name, value in document.items() if name != "sha256"}
    intact = document.get("sha256") == _checksum(content)
    if not intact or content["schema"] != SCHEMA:
        return None
    return _load(_with_path(content, PLACE, f"{file.parent / RUNS_FILE}:"))


def _with_path(document: Mapping[str, Any], old: str, new: str) -> dict[str, object]:
    """A document of fits whose notes name the table in another way."""

    def renamed(notes: Sequence[Sequence[Any]]) -> list[list[Any]]:
        return [[part.replace(old, new) if isinstance(part, str) else part for part in note] for note in notes]

    curves = [{**curve, "notes": renamed(curve["notes"])} for curve in document["curves"]]
    return {**document, "notes": renamed(document["notes"]), "curves": curves}


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
