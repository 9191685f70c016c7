"""Finished runs whose weights nobody can use: the row stands, the checkpoint at the run's end is lost."""

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass

from scaling.errors import InputError
from scaling.ledger.checkpoints import checkpoint_of, is_lost
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.system.folder_contents import WITHIN
from sweeps.progress.status import State, Survey

BEGINNING_BYTES = 4096
"""Bytes of a result that hold the field: before it stand a dozen numbers."""

CHECKPOINT = re.compile(rb'"checkpoint": (?:null|"([\w/-]+)")')
"""The field of a result as the ledger writes it: null, or a folder with a plain name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableRun:
    """The key of a finished run that can be neither used nor exported, and why."""

    run: str
    cause: str


def unusable_runs(plan_file: PlanFile, survey: Survey) -> list[UnusableRun]:
    """The study's finished runs whose last checkpoint is lost."""
    return [
        UnusableRun(run=run.key, cause=cause)
        for run in plan_file.runs
        if survey.runs[run.key] is State.DONE and (cause := _fault(plan_file.ledger, run.nodes[-1]))
    ]


def _looks_usable(folder: str) -> bool:
    """Whether a result's first bytes show a usable run: parsing ten thousand would double the time of `status`."""
    with suppress(OSError):
        handle = os.open(f"{folder}/result.json", WITHIN)
        try:
            named = CHECKPOINT.search(os.read(handle, BEGINNING_BYTES))
        finally:
            os.close(handle)
        return named is not None and (
            named[1] is None or stat.S_ISDIR(os.lstat(f"{folder}/{named[1].decode()}").st_mode)
        )
    return False


def _fault(ledger: Ledger, key: str) -> str | None:
    """Why nobody can use the weights of a finished node; None where they can be used."""
    if _looks_usable(f"{ledger.root}/stages/{key}"):
        return None
    try:
        lost = is_lost(ledger, key)
    except InputError as error:
        return str(error)
    return f"its weights are lost: no folder {ledger.root}/{checkpoint_of(ledger, key)}" if lost else None
