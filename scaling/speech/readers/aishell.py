"""AISHELL-1 (openslr.org/33): a part of `data_aishell/wav` (train, dev, test) with `../../transcript`.

    wav/train/S0002/BAC009S0002W0122.wav     transcript/aishell_transcript_v0.8.txt: NAME words with blanks between

The blanks segment the text into words and are removed. AISHELL-2 is a Kaldi data directory (`iOS/data` with wav.scp and
trans.txt).
"""

from collections.abc import Iterable
from pathlib import Path

from scaling.speech.readers.row import BadRow, Format, Row, Rows, lines

TRANSCRIPT = "aishell_transcript_v0.8.txt"


def _transcript(path: Path) -> Path:
    return path.parent.parent / "transcript" / TRANSCRIPT


def _recognises(path: Path) -> bool:
    return path.is_dir() and path.parent.name == "wav" and _transcript(path).is_file()


def _files(path: Path) -> Iterable[Path]:
    return [_transcript(path), path, *sorted(folder for folder in path.iterdir() if folder.is_dir())]


def _rows(path: Path, _part: str) -> Rows:
    """The recordings of this part that have a transcript: 1 % of those published have none (README of the corpus)."""
    texts: dict[str, str] = {}
    for _, line in lines(_transcript(path)):
        if isinstance(line, BadRow):
            yield line
        else:
            name, *words = line.split()
            texts[name] = "".join(words)
    for audio in sorted(path.glob("*/*.wav")):
        if audio.stem in texts:
            yield Row(audio=str(audio), text=texts[audio.stem], id=audio.stem, speaker=audio.parent.name)


FORMAT = Format(name="part of AISHELL-1 (data_aishell/wav/train)", recognises=_recognises, files=_files, rows=_rows)
