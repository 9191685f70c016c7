"""A trained run of a study: the one a user names, or the best on dev, checked before torch is started."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.base_models.encoders import EncoderDims, encoder_dims
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.errors import InputError, nearest
from scaling.ledger.freed_checkpoints import checkpoint_of
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.ledger.records import RunRow
from scaling.spec import Scoring
from scaling.system.json_files import read_json
from sweeps.progress.results_table import read_rows

EXPORTED = "recognizer.json"
"""The file that makes a folder an exported recogniser (`scaling.asr.use.trained`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun:
    """A finished run whose weights are on this machine. `node` is the stage node that ends it."""

    plan_file: PlanFile
    row: RunRow
    node: str
    encoder: EncoderDims
    scoring: Scoring


def find_run(folder: Path, key: str | None, strategy: str | None) -> TrainedRun:
    """The finished run of the study in `folder` with this key (or its beginning), or the lowest dev CER, of a strategy.

    Raises InputError where there is none, where its checkpoint or base models are gone, or the models have changed.
    """
    plan_file = read_plan_file(folder)
    row = _chosen(folder, [row for row in read_rows(folder) if row.status == "ok"], key, strategy)
    node = row.nodes[-1]
    checkpoint = checkpoint_of(plan_file.ledger, node)
    if checkpoint is None:
        raise InputError(f"{folder}: run {row.key} has no weights: it was simulated; expected a trained run")
    if not (checkpoint / "progress.json").is_file():
        raise InputError(f"{checkpoint}: the run's checkpoint is gone; train it again")
    content = plan_file.ledger.stage(node)["node"]
    encoder = _base(plan_file, "encoder", content["model"])
    _base(plan_file, "llm", content["model"])
    return TrainedRun(
        plan_file=plan_file,
        row=row,
        node=node,
        encoder=encoder_dims(encoder / "config.json"),
        scoring=Scoring(content["data"].get("scoring", Scoring.PLAIN)),
    )


def exported_encoder(folder: Path) -> EncoderDims:
    """The encoder of an exported recogniser. Raises InputError where `folder` is none."""
    if not (folder / EXPORTED).is_file():
        raise InputError(
            f"{folder}: neither the folder of a study (plan.json) nor an exported recogniser ({EXPORTED});"
            " expected DIR of `asr-scaling run STUDY --out DIR`, or OUT of `asr-scaling export DIR OUT`"
        )
    return encoder_dims(folder / "encoder" / "config.json")


def exported_scoring(folder: Path) -> Scoring:
    """How an exported recogniser was scored. Raises InputError where its configuration says something else."""
    name = read_json(folder / EXPORTED).get("scoring", Scoring.PLAIN)
    if name not in list(Scoring):
        raise InputError(f"{folder / EXPORTED}: scoring {name!r}{nearest(name, Scoring)}")
    return Scoring(name)


def _chosen(folder: Path, rows: list[RunRow], key: str | None, strategy: str | None) -> RunRow:
    if not rows:
        raise InputError(f"{folder}: no run is finished yet; see `asr-scaling status {folder}`")
    if strategy is not None and all(row.strategy != strategy for row in rows):
        names = sorted({row.strategy for row in rows})
        raise InputError(f"{folder}: no finished run of strategy {strategy!r}{nearest(strategy, names)}")
    rows = [row for row in rows if strategy in (None, row.strategy)]
    if key is None:
        return min(rows, key=lambda row: math.inf if row.dev_cer is None else row.dev_cer)
    found = [row for row in rows if key and row.key.startswith(key)]
    if len(found) != 1:
        keys = [row.key for row in rows]
        raise InputError(f"{folder}: run {key!r} names {len(found)} finished runs; expected one{nearest(key, keys)}")
    return found[0]


def _base(plan_file: PlanFile, kind: str, model: dict[str, Any]) -> Path:
    """The directory of a base model, with the content that the run began with."""
    name, content = model[f"{kind}_name"], model[kind]
    path = sources[content].path if content in (sources := plan_file.sources) else None
    if path is None or not Path(path).is_dir():
        raise InputError(f"{kind} {name}: its directory {path} is gone; the run's weights stand on it")
    found = find_encoder(path) if kind == "encoder" else find_llm(path)
    if found.digest != content:
        raise InputError(f"{kind} {name}: the content of {path} has changed since the run; expected digest {content}")
    return Path(path)
