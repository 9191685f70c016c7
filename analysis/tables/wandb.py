"""Runs of a Weights & Biases project as rows: `wandb:ENTITY/PROJECT` is accepted wherever a table is.

The project is read by wandb's own client with its own settings (`wandb login`, WANDB_BASE_URL). The client is imported
on first use, because the import takes seconds.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scaling.errors import InputError

SCHEME = "wandb:"
"""What the name of a project begins with where a file or a folder could stand."""

RUNS_A_PAGE = 100
"""Runs asked for at once. The server's own limit is higher; the summaries of a hundred runs take some 100 kB."""

TIMEOUT_SECONDS = 60
"""How long the client waits for the server."""


def is_project(source: Path) -> bool:
    """Whether `source` names a project rather than a file.

    >>> is_project(Path("wandb:lab/mandarin")), is_project(Path("runs.csv"))
    (True, False)
    """
    return str(source).startswith(SCHEME)


def rows_of_project(source: Path) -> Iterator[dict[str, Any]]:
    """One row for each run: its config and its summary, names of nested values joined by `/`, and with them `key` (the
    run's id), `name` and `state`.

    Raises InputError where the name is malformed, where the client is missing, and where the server refuses or does not
    know the project.
    """
    parts = str(source).removeprefix(SCHEME).strip("/").split("/")
    if len(parts) != 2 or not all(parts):
        raise InputError(f"{source}: expected {SCHEME}ENTITY/PROJECT")
    try:
        import wandb
    except ImportError:
        raise InputError(f"{source}: reading a project needs wandb: pip install 'asr-scaling[track]'") from None
    try:
        client = wandb.Api(timeout=TIMEOUT_SECONDS)
        for run in client.runs("/".join(parts), per_page=RUNS_A_PAGE, lazy=False):
            values = {**dict(flat(run.config)), **dict(flat(dict(run.summary_metrics)))}
            yield {**values, "key": run.id, "name": run.name, "state": run.state}
    except (wandb.Error, ValueError) as error:
        raise InputError(f"{source}: {' '.join(str(error).split())[:200]}") from None


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values, their names joined by `/`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
