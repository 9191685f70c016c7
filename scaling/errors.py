"""The error for anything that a user can cause: the commands print it without a traceback and exit with 2."""

import difflib
from collections.abc import Iterable

LONGEST_MESSAGE = 2000
"""The most characters of a message that are shown, because a message may quote a long value."""


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
