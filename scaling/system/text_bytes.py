"""The encoding of a text file, by its byte order mark or without one: UTF-8 is read, UTF-16 and UTF-32 are named."""

import codecs

from scaling.errors import InputError

MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


MARK = codecs.BOM_UTF8
"""The byte order mark of UTF-8."""


def without_mark(content: bytes, place: str) -> bytes:
    """The bytes of a UTF-8 text without its byte order mark. Raises InputError, naming `place` and the encoding, where
    they are UTF-16 or UTF-32: by the mark, or by the zeros that a first letter of ASCII has there.
    """
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), None) or _by_zeros(content)
    if encoding is not None:
        raise InputError(f"{place}: text in {encoding}; expected UTF-8 (iconv -f {encoding} -t UTF-8)")
    return content.removeprefix(MARK)


def _by_zeros(content: bytes) -> str | None:
    if 0 not in content[:4]:
        return None
    return "UTF-32" if content[:4].count(0) > 2 else "UTF-16"
