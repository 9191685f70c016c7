"""Runs of a Weights & Biases project online: `wandb:ENTITY/PROJECT` wherever a table is asked for.

Read by the tracker's own client with its own settings (`wandb login`, WANDB_BASE_URL), config and summary of each run
as one row. The client is imported on first use, since it takes seconds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.tables.wandb_export import flat
from scaling.errors import InputError

SCHEME = "wandb:"
# The server's own limit is higher; a page of summaries of a hundred runs is a few hundred kilobytes.
RUNS_A_PAGE = 100
PATIENCE_SECONDS = 60


def is_online(source: Path) -> bool:
    """Whether a source names a project rather than a file.

    >>> is_online(Path("wandb:lab/mandarin")), is_online(Path("runs.csv"))
    (True, False)
    """
    return str(source).startswith(SCHEME)


def rows_of_project(source: Path) -> Iterator[dict[str, Any]]:
    """One row a run, as `analysis.tables.wandb_export.rows_of` gives them. Raises InputError where the name is malformed, the
    client is missing, or the server refuses or does not know the project.
    """
    parts = str(source).removeprefix(SCHEME).strip("/").split("/")
    if len(parts) != 2 or not all(parts):
        raise InputError(f"{source}: expected {SCHEME}ENTITY/PROJECT")
    try:
        import wandb
    except ImportError:
        raise InputError(f"{source}: reading a project needs wandb: pip install 'asr-scaling[track]'") from None
    try:
        client = wandb.Api(timeout=PATIENCE_SECONDS)
        for run in client.runs("/".join(parts), per_page=RUNS_A_PAGE, lazy=False):
            values = {**dict(flat(run.config)), **dict(flat(dict(run.summary_metrics)))}
            yield {**values, "key": run.id, "name": run.name, "state": run.state}
    except (wandb.Error, ValueError) as error:
        raise InputError(f"{source}: {' '.join(str(error).split())[:200]}") from None
