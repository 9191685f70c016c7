"""Finds the trained run that a user names, or the best one on dev, and checks it before torch is started."""

import math
from dataclasses import dataclass
from pathlib import Path

from scaling.base_models.encoders import EncoderDims, encoder_dims
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.errors import InputError, nearest
from scaling.ledger.checkpoints import COMPLETE, checkpoint_of
from scaling.ledger.plan_file import PlanFile, read_plan_file
from scaling.ledger.records import RunRow
from scaling.spec import Scoring, StageNode
from scaling.system.json_files import read_json
from sweeps.progress.results_table import read_rows

EXPORTED = "recognizer.json"
"""The file that makes a folder an exported recogniser (`scaling.asr.use.export_folder`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun:
    """A finished run whose weights are on this machine. `node` is the stage node that ends it."""

    plan_file: PlanFile
    row: RunRow
    node_key: str
    node: StageNode
    encoder: EncoderDims

    @property
    def scoring(self) -> Scoring:
        """How the run was scored."""
        return self.node.data.scoring


def find_run(folder: Path, key: str | None, strategy: str | None) -> TrainedRun:
    """A finished run of the study in `folder`: the one whose key is or begins with `key`, or that of lowest dev CER.

    `strategy` leaves only the runs of one strategy to choose from. Raises InputError where no run matches, where the
    run's checkpoint or base models are missing, or where the content of a base model has changed.
    """
    plan_file = read_plan_file(folder)
    row = _choose(folder, [row for row in read_rows(folder) if row.status == "ok"], key, strategy)
    node_key, ledger = row.nodes[-1], plan_file.ledger
    checkpoint = checkpoint_of(ledger, node_key)
    if checkpoint is None:
        raise InputError(f"{folder}: run {row.key} has no weights: it was simulated; expected a trained run")
    if not ledger.files.is_folder(checkpoint) or not ledger.files.stands(f"{checkpoint}/{COMPLETE}"):
        raise InputError(
            f"{ledger.root / checkpoint}: the run's checkpoint is gone; its result stands, and its weights are lost"
        )
    node = ledger.node(node_key)
    encoder = _base_folder(plan_file, "encoder", node.model.encoder_name, node.model.encoder)
    _base_folder(plan_file, "llm", node.model.llm_name, node.model.llm)
    return TrainedRun(
        plan_file=plan_file, row=row, node_key=node_key, node=node, encoder=encoder_dims(encoder / "config.json")
    )


def exported_encoder(folder: Path) -> EncoderDims:
    """The encoder of an exported recogniser. Raises InputError where `folder` holds none."""
    if not (folder / EXPORTED).is_file():
        raise InputError(
            f"{folder}: neither the folder of a study (plan.json) nor an exported recogniser ({EXPORTED});"
            " expected DIR of `asr-scaling run STUDY --out DIR`, or OUT of `asr-scaling export DIR OUT`"
        )
    return encoder_dims(folder / "encoder" / "config.json")


def exported_scoring(folder: Path) -> Scoring:
    """How an exported recogniser was scored. Raises InputError where its file names no known way of scoring."""
    name = read_json(folder / EXPORTED).get("scoring", Scoring.PLAIN)
    if name not in list(Scoring):
        raise InputError(f"{folder / EXPORTED}: scoring {name!r}{nearest(name, Scoring)}")
    return Scoring(name)


def _choose(folder: Path, rows: list[RunRow], key: str | None, strategy: str | None) -> RunRow:
    if not rows:
        raise InputError(f"{folder}: no run is finished yet; see `asr-scaling status {folder}`")
    if strategy is not None and all(row.strategy != strategy for row in rows):
        names = sorted({row.strategy for row in rows})
        raise InputError(f"{folder}: no finished run of strategy {strategy!r}{nearest(strategy, names)}")
    rows = [row for row in rows if strategy in (None, row.strategy)]
    if key is None:
        return min(rows, key=lambda row: math.inf if row.dev_cer is None else row.dev_cer)
    matches = [row for row in rows if key and row.key.startswith(key)]
    if len(matches) != 1:
        keys = [row.key for row in rows]
        raise InputError(f"{folder}: run {key!r} names {len(matches)} finished runs; expected one{nearest(key, keys)}")
    return matches[0]


def _base_folder(plan_file: PlanFile, kind: str, name: str, digest: str) -> Path:
    """The folder of a base model. Raises InputError unless its content is that with which the run began."""
    path = plan_file.sources[digest].path if digest in plan_file.sources else None
    if path is None or not Path(path).is_dir():
        raise InputError(f"{kind} {name}: its directory {path} is gone; the run's weights stand on it")
    base = find_encoder(path) if kind == "encoder" else find_llm(path)
    if base.digest != digest:
        raise InputError(f"{kind} {name}: the content of {path} has changed since the run; expected digest {digest}")
    return Path(path)
