"""`status --watch`: the state of a study again and again, in place on a terminal, from the ledger alone."""

import json
import sys
import time
from pathlib import Path

from scaling.console import jsonable
from scaling.ledger.plan_file import read_plan_file
from sweeps.progress.status import survey
from sweeps.progress.status_text import as_document, status_text

CLEAR = "\x1b[H\x1b[J"
"""Cursor to the upper left corner, and erase what follows (ECMA-48)."""

LOOK_SECONDS = 2.0
"""Between looks, and at least ten times as long as a look takes: watching must not cost training."""


def watch(folder: Path, *, as_json: bool) -> None:
    """Show the study in `folder` until nothing is left to do, or Ctrl-C. As JSON: a document a line."""
    known = None
    try:
        while True:
            began = time.monotonic()
            plan_file = read_plan_file(folder)  # each time: another invocation may have grown the study
            found = survey(plan_file, known=known)
            known = found.nodes
            document = as_document(plan_file, found)
            _show(json.dumps(jsonable(document)) if as_json else status_text(document), in_place=not as_json)
            if found.finished:
                return
            time.sleep(max(LOOK_SECONDS, 10 * (time.monotonic() - began)))
    except KeyboardInterrupt:
        return


def _show(text: str, *, in_place: bool) -> None:
    sys.stdout.write((CLEAR if in_place and sys.stdout.isatty() else "") + text + "\n")
    sys.stdout.flush()
