"""Runs in Weights & Biases. Each run of a study is a W&B run: its id is the run's key, the step of every metric the
FLOPs charged so far.

Runs are offline unless WANDB_MODE says otherwise; upload them with `wandb sync`. Numbers and names of the study, its
strategies and its models are sent; the name of a model in a directory is the last part of its path. Transcripts, other
paths, host and user names, git remotes and code are not sent.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.ledger.records import RunDescription
from scaling.system.console import log
from scaling.system.contained_files import InnerFiles
from sweeps.run.tracked_run import CONFIG_FIELDS, display_name

FOLDER = "wandb"
"""The folder of a study in which wandb writes."""

FLUSH_SECONDS = 1
"""Seconds between writes to the offline file: the default of 15 s loses everything of runs that are killed early."""

FINISH_SECONDS = 20.0
"""Seconds that `finish()` of wandb may take: it was seen to hang."""

REFUSED = re.compile(r"[/\\#?%:]")
"""Characters that W&B takes in no name of a project."""

LONGEST_NAME = 128
"""The most characters that W&B takes in names of projects and runs."""


@dataclass(frozen=True, slots=True)
class WandbRun:
    """A run that wandb has open."""

    run: Any

    def log(self, point: Mapping[str, object]) -> None:
        """Write a point of the curve."""
        self.run.log(dict(point))

    def finish(self, *, ok: bool) -> None:
        """Write what is left."""
        try:
            self.run.finish(exit_code=0 if ok else 1)
        except Exception as error:  # an error of the tracker loses nothing: the ledger has everything
            log(f"tracking: {error}")


def begin(folder: Path, run: RunDescription) -> WandbRun:
    """A new W&B run in place of an earlier offline copy. Raises InputError where wandb refuses the run."""
    import wandb

    mode: Any = os.environ.get("WANDB_MODE", "offline")
    files = InnerFiles(folder)
    files.make_folder(FOLDER)
    for name in files.entries(FOLDER):
        if name.startswith("offline-run-") and name.endswith(f"-{run.key}"):
            files.remove(f"{FOLDER}/{name}")
    try:
        tracked = wandb.init(
            project=project_name(run.study),
            id=run.key,
            name=display_name(run)[:LONGEST_NAME],
            config=run.model_dump(include=CONFIG_FIELDS),
            mode=mode,
            resume="allow",
            reinit="create_new",
            settings=_settings(wandb, folder),
        )
    except (wandb.Error, ValueError) as error:
        raise InputError(f"wandb refuses run {run.key}: {' '.join(str(error).split())[:300]}") from None
    tracked.define_metric("flops")
    tracked.define_metric("*", step_metric="flops")
    return WandbRun(tracked)


def project_name(study: str) -> str:
    """The name of a study as W&B takes it; the config keeps the study's own.

    >>> project_name("exp:1")
    'exp-1'
    """
    return REFUSED.sub("-", study)[:LONGEST_NAME]


def _settings(wandb: Any, folder: Path) -> Any:
    return wandb.Settings(
        root_dir=str(folder),
        silent=True,
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        save_code=False,
        host="",
        program="",
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=FLUSH_SECONDS,
        finish_timeout=FINISH_SECONDS,
    )
