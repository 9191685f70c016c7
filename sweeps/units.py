"""Amounts in words."""


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(42), duration(150), duration(9000), duration(1e6)
    ('42 s', '2.5 min', '2.5 h', '11.6 d')
    """
    for unit, length, largest in (("s", 1, 100), ("min", 60, 100 * 60), ("h", 3600, 48 * 3600)):
        if seconds < largest:
            return f"{seconds / length:.0f} s" if unit == "s" else f"{seconds / length:.1f} {unit}"
    return f"{seconds / 86400:.1f} d"


def size(count: float) -> str:
    """Bytes in words.

    >>> size(512), size(25_300_000), size(4.2e12)
    ('512 B', '25.3 MB', '4.2 TB')
    """
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count:.0f} B"
