"""LibriSpeech (openslr.org/12) and corpora in its layout: a part such as `LibriSpeech/train-clean-100`.

SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt     a line for each utterance: SPEAKER-CHAPTER-0000 TEXT; the .flac is beside
"""

from collections.abc import Iterable
from pathlib import Path

from scaling.speech.readers.row import BadRow, Format, Row, Rows, lines

SUFFIXES = (".flac", ".wav", ".opus", ".mp3")


def _recognises(path: Path) -> bool:
    return path.is_dir() and next(path.glob("*/*/*.trans.txt"), None) is not None


def _files(path: Path) -> Iterable[Path]:
    return sorted(path.glob("*/*/*.trans.txt"))


def _rows(path: Path, _part: str) -> Rows:
    for transcript in _files(path):
        chapter = transcript.parent
        suffix = next((suffix for suffix in SUFFIXES if next(chapter.glob(f"*{suffix}"), None)), SUFFIXES[0])
        for number, line in lines(transcript):
            if isinstance(line, BadRow):
                yield line
                continue
            name, *text = line.split(maxsplit=1)
            audio, speaker = f"{chapter}/{name}{suffix}", chapter.parent.name
            yield Row(audio, text[0] if text else None, id=name, speaker=speaker, line=number)


FORMAT = Format(
    name="part of LibriSpeech (SPEAKER/CHAPTER/*.trans.txt)", recognises=_recognises, files=_files, rows=_rows
)
