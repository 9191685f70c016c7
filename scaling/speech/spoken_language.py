"""The language of a corpus, as far as the corpus says it: by its layout, or in a field of its rows. None is guessed."""

import difflib
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.speech.readers import aishell, common_voice, json_lines, lhotse, librispeech, wenetspeech
from scaling.speech.readers.formats import CorpusPath, find_corpus_paths
from scaling.speech.readers.row import BadRow, lines, parse_json, raw_lines

OF_LAYOUT = {aishell.FORMAT.name: "zh", wenetspeech.FORMAT.name: "zh", librispeech.FORMAT.name: "en"}
"""Layouts that one corpus has, by name, and its language as Whisper's code."""

FIELDS = ("language", "lang", "locale")
"""What rows call their language."""

ROWS_READ = 1000
"""Rows that are looked at: a corpus of several languages shows it in these (assumption)."""

_CODES = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id
is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd
si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh
"""
WHISPER_CODES = frozenset(_CODES.split())
"""The codes that Whisper has (openai/whisper, tokenizer.py)."""

NAMES = {
    "arabic": "ar", "cantonese": "yue", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu",
    "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "mandarin": "zh", "norwegian": "no",
    "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "spanish": "es",
    "swedish": "sv", "tamil": "ta", "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi",
}  # fmt: skip
"""English names of languages, and their codes: what people write in a code's place."""

WORDS = {"mandarin": "zh", "chinese": "zh", "cmn": "zh", "zho": "zh", "english": "en", "eng": "en"}
"""Names of languages that Whisper has another code for."""


def spoken_language(corpus: Path) -> str | None:
    """Whisper's code of the language of the corpus at `corpus`, as `read_manifest` takes it; None where the corpus does
    not say it, or names several. Raises InputError where there is no corpus.
    """
    languages = {code for path in find_corpus_paths(corpus) for code in _named_languages(path)}
    return languages.pop() if len(languages) == 1 else None


def check_code(language: str, place: str) -> None:
    """Raise InputError, naming `place`, for no code of Whisper or, of languages that it lacks, of ISO 639-3."""
    if language in WHISPER_CODES or (re.fullmatch("[a-z]{3}", language) and language not in WORDS):
        return
    code = NAMES.get(language.lower(), code_of(language))
    close = difflib.get_close_matches(language.lower(), NAMES, n=1)
    code = code if code in WHISPER_CODES else NAMES[close[0]] if close else ""
    hint = f"; did you mean {code!r}?" if code else f"; such as {', '.join(sorted(NAMES.values())[:8])}, ..."
    raise InputError(f"{place}: language {language!r}; expected Whisper's code of the language{hint}")


def code_of(language: str) -> str:
    """The code of a language that a corpus names.

    >>> code_of("zh-CN"), code_of("Mandarin"), code_of("en_US"), code_of("yue")
    ('zh', 'zh', 'en', 'yue')
    """
    first = language.strip().lower().replace("_", "-").partition("-")[0]
    return WORDS.get(first, first)


def _named_languages(corpus: CorpusPath) -> Iterator[str]:
    name = corpus.format.name
    if name in OF_LAYOUT:
        yield OF_LAYOUT[name]
    elif name == common_voice.FORMAT.name:
        yield from map(code_of, _column(corpus.path))
    elif name in (json_lines.FORMAT.name, lhotse.CUTS.name, lhotse.SUPERVISIONS.name):
        for _, line in islice(raw_lines(corpus.path), ROWS_READ):
            yield from map(code_of, _of_row(line))


def _column(table: Path) -> Iterator[str]:
    """The languages in a tab-separated table."""
    rows = [line.split("\t") for _, line in islice(lines(table), ROWS_READ) if not isinstance(line, BadRow)]
    place = next((rows[0].index(name) for name in FIELDS if rows and name in rows[0]), None)
    if place is not None:
        yield from (cells[place] for cells in rows[1:] if len(cells) > place and cells[place].strip())


def _of_row(line: bytes) -> Iterator[str]:
    """The languages that a row of JSON names, in itself or in its supervisions."""
    try:
        row: Any = parse_json(line)
    except ValueError:
        return
    supervisions = row.get("supervisions") if isinstance(row, dict) else None
    for values in (row, *(supervisions if isinstance(supervisions, list) else ())):
        named = [values.get(name) for name in FIELDS] if isinstance(values, dict) else []
        yield from (value for value in named if isinstance(value, str) and value.strip())
