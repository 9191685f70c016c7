"""The error for anything that a user can cause: the commands print it without a traceback and exit with 2."""

import difflib
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

LONGEST_MESSAGE = 2000
"""The most characters of a message that are shown, because a message may quote a long value."""

MOST_FILES = 10_000
"""The most files of a folder among which the nearest name is looked for."""
ALIKE = 0.8
"""How alike two names of files must be, by `difflib`: a common suffix alone is not enough."""


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message says where it stands (file, line or field), its value, and what was expected. It is raised before
    anything is written. Callers of the library may catch it as a ValueError. The message is shown as one line of
    bounded length, whatever values it quotes.
    """

    def __str__(self) -> str:
        """The message, with control characters escaped."""
        text = super().__str__()
        half = LONGEST_MESSAGE // 2
        short = text if len(text) <= LONGEST_MESSAGE else f"{text[:half]} ... {text[-half:]}"
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in short)


def nearest(name: object, valid: Iterable[str]) -> str:
    """The end of a message about a wrong name: the nearest valid name, and all valid names where they are few.

    >>> nearest("efni", ["efin", "joint"])
    "; did you mean 'efin'? Valid: efin, joint"
    """
    names = sorted(map(str, valid))
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(name).lower(), lower, n=1)
    hint = f"; did you mean {lower[close[0]]!r}?" if close else ";" if len(names) <= 20 else ""
    listing = f" Valid: {', '.join(names)}" if len(names) <= 20 else ""
    return hint + listing


def nearest_file(path: Path) -> str:
    """The end of a message about a file that is not there: the nearest name in its folder, if one is near."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, MOST_FILES)]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=ALIKE)
    return f"; did you mean {str(path.with_name(close[0]))!r}?" if close else ""
