"""`plan.json`: what workers, `status`, the table of runs and the tracker need to know about a study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import check_plan
from scaling.system.cache import check_once
from scaling.system.json_files import parse_object, read_bytes

SCHEMA = "asr-scaling/plan-1"


@dataclass(frozen=True, slots=True)
class PlanFile:
    """The `plan.json` of a study, as it lies in `folder`."""

    folder: Path
    ledger: Ledger
    content: dict[str, Any]

    @property
    def path(self) -> Path:
        """The file that workers are started with."""
        return self.folder / "plan.json"

    @property
    def session(self) -> str:
        """Names the invocation: failures in it are final until the next one."""
        return str(self.content["session"])

    @property
    def nodes(self) -> list[str]:
        """Keys of the nodes to work on, in order."""
        nodes: list[str] = self.content["nodes"]
        return nodes

    @property
    def work(self) -> dict[str, dict[str, Any]]:
        """For each node its FLOPs from start to end, the position it starts at, and the nodes it needs."""
        work: dict[str, dict[str, Any]] = self.content["work"]
        return work

    @property
    def evaluation_flops(self) -> dict[str, int]:
        """FLOPs of decoding dev and test sets, by the nodes that end runs; empty in files of earlier versions."""
        flops: dict[str, int] = self.content.get("evaluation_flops", {})
        return flops

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What is known about each run beforehand, with its `nodes`."""
        runs: list[dict[str, Any]] = self.content["runs"]
        return runs


def read_plan_file(folder: Path) -> PlanFile:
    """The plan file in `folder`. Raises InputError where no study was run there."""
    path = folder / "plan.json"
    if not path.exists():
        raise InputError(f"{folder}: no plan.json; expected the folder of a study (`asr-scaling run STUDY --out DIR`)")
    written = read_bytes(path)
    content = parse_object(written, path)
    if content.get("schema") != SCHEMA:
        raise InputError(f"{path}: schema {content.get('schema')!r}; expected {SCHEMA!r}")
    check_once(written, lambda: check_plan(content, path), name="plan-2")
    return PlanFile(folder, Ledger(folder / content["ledger"]), content)
