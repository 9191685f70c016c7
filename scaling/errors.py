"""The one error a user can cause: it is shown without a traceback, with exit code 2."""

import difflib
from collections.abc import Iterable

LONGEST_MESSAGE = 2000
"""Characters of a message that are shown: a value may be a whole file."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message says where (file, line or field), which value, and what was expected. Raise it before anything is
    written. The command line prints the message and exits with 2; library callers may catch it as a `ValueError`.

    Whatever the values in it hold, the message is one line of bounded length.
    """

    def __str__(self) -> str:
        """The message, control characters escaped."""
        text = super().__str__()
        half = LONGEST_MESSAGE // 2
        cut = text if len(text) <= LONGEST_MESSAGE else f"{text[:half]} ... {text[-half:]}"
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def nearest(name: object, valid: Iterable[str]) -> str:
    """The end of a message about a wrong name: the nearest valid one, and all of them where they are few.

    >>> nearest("efni", ["efin", "joint"])
    "; did you mean 'efin'? Valid: efin, joint"
    """
    names = sorted(map(str, valid))
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";" if len(names) <= 20 else ""
    listing = f" Valid: {', '.join(names)}" if len(names) <= 20 else ""
    return hint + listing
