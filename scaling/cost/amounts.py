"""Amounts in words."""

SECONDS_AN_HOUR = 3600.0


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(0), duration(0.3), duration(42), duration(150), duration(9000), duration(1e6)
    ('0 s', 'under 1 s', '42 s', '2.5 min', '2.5 h', '11.6 d')
    """
    if 0.0 < seconds < 1.0:
        return "under 1 s"
    for unit, length, largest in (("s", 1, 100), ("min", 60, 100 * 60), ("h", 3600, 48 * 3600)):
        if seconds < largest:
            return f"{seconds / length:.0f} s" if unit == "s" else f"{seconds / length:.1f} {unit}"
    return f"{seconds / 86400:.1f} d"


def audio(hours: float) -> str:
    """Hours of audio in words: shorter than an hour in minutes or seconds.

    >>> audio(10_000), audio(36.0001), audio(1.5), audio(0.004)
    ('10,000 h', '36.0 h', '1.50 h', '14 s')
    """
    if hours < 1.0:
        return duration(3600 * hours)
    return f"{hours:,.0f} h" if hours >= 1000 else f"{hours:#.3g} h"


def two_digits(value: float) -> str:
    """A number with two decimals, and with two digits where those would be zeros.

    >>> two_digits(23.1), two_digits(0.07), two_digits(0.00123), two_digits(0)
    ('23.10', '0.07', '0.0012', '0.00')
    """
    return f"{value:.2g}" if 0.0 < value < 0.05 else f"{value:.2f}"


def size(count: float) -> str:
    """Bytes in words.

    >>> size(512), size(25_300_000), size(4.2e12)
    ('512 B', '25.3 MB', '4.2 TB')
    """
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count:.0f} B"


def money(usd: float) -> str:
    """Dollars in words.

    >>> money(0), money(4e-6), money(0.24), money(451.7), money(20000)
    ('0 USD', 'under 0.01 USD', '0.24 USD', '452 USD', '20,000 USD')
    """
    if 0.0 < usd < 0.01:
        return "under 0.01 USD"
    return f"{usd:,.0f} USD" if usd >= 100 or usd == 0.0 else f"{usd:.2f} USD"
