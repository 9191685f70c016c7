"""Python processes that import this project and installed packages, and nothing from the folder they are started in.

`python -m` and `python -c` look for modules in the current folder first: a file `torch.py` or a folder `scaling` beside
a study would be executed in every worker.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWN_FOLDER = Path(__file__).parents[2]
"""The folder that our packages are imported from: that of installed packages, or of a checkout."""

SAFE_PATH = "PYTHONSAFEPATH"
"""The environment variable by which every Python process leaves the current folder out, as by its option `-P`."""


def python_module(name: str) -> tuple[str, ...]:
    """The beginning of a command that runs the module `name`."""
    return (sys.executable, "-P", "-m", name)


@contextmanager
def own_code_only() -> Iterator[None]:
    """Within this context, Python processes that are started leave the current folder out, however they are started."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
