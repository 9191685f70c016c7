"""The byte order mark at the beginning of a text file: that of UTF-8 is skipped, other encodings are named."""

import codecs

from scaling.errors import InputError

MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def without_mark(content: bytes, place: str) -> bytes:
    """The bytes of a UTF-8 text without its byte order mark. Raises InputError, naming `place` and the encoding, where
    the mark is that of UTF-16 or UTF-32.
    """
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    if encoding is not None:
        raise InputError(f"{place}: text in {encoding}; expected UTF-8 (iconv -f {encoding} -t UTF-8)")
    return content.removeprefix(codecs.BOM_UTF8)
