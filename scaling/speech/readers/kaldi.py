"""Kaldi data directories: `wav.scp`, `text` (in AISHELL-2 `trans.txt`), and optional `segments`, `utt2spk`, `utt2dur`.

Paths in wav.scp start at the folder. A pipe (`sox ... |`) is a bad row: commands of a corpus are never run.
"""

from collections.abc import Iterable
from pathlib import Path

from scaling.speech.readers.row import NOT_TOLD, BadRow, Format, Row, Rows, beside, lines

TRANSCRIPTS = ("text", "trans.txt")


def _recognises(path: Path) -> bool:
    return (path / "wav.scp").is_file() and any((path / name).is_file() for name in TRANSCRIPTS)


def _files(path: Path) -> Iterable[Path]:
    names = ("wav.scp", *TRANSCRIPTS, "segments", "utt2spk", "utt2dur")
    return [path / name for name in names if (path / name).is_file()]


def _rows(path: Path, _part: str) -> Rows:
    bad_rows: list[BadRow] = []
    recordings = _table(path / "wav.scp", bad_rows)
    speakers = _table(path / "utt2spk", bad_rows)
    durations = _table(path / "utt2dur", bad_rows)
    segments = _table(path / "segments", bad_rows)
    transcript = next(path / name for name in TRANSCRIPTS if (path / name).is_file())
    for number, line in lines(transcript):
        if isinstance(line, BadRow):
            yield line
            continue
        identity, text = _split(line)
        where = f"{transcript}, line {number}"
        recording, start, duration = identity, NOT_TOLD, _seconds(durations.get(identity, ""))
        if (path / "segments").is_file():
            stretch = segments.get(identity, "").split()
            if len(stretch) != 3:
                yield BadRow("no segment", f"{where}: {identity!r} is not in segments, or not with RECORDING START END")
                continue
            recording, start, duration = stretch[0], _seconds(stretch[1]), _seconds(stretch[2]) - _seconds(stretch[1])
            if not (start >= 0 and duration > 0):
                yield BadRow("no segment", f"{where}: {identity!r} goes from {stretch[1]} to {stretch[2]} s")
                continue
        audio = recordings.get(recording)
        if audio is None:
            yield BadRow("no recording", f"{where}: {recording!r} is not in wav.scp")
        elif audio.endswith("|"):
            yield BadRow("pipe instead of a file", f"{path / 'wav.scp'}: {recording!r} is the command {audio!r}")
        else:
            yield Row(
                audio=beside(path, audio),
                text=text,
                id=identity,
                speaker=speakers.get(identity, ""),
                duration=duration,
                start=start,
                line=number,
            )
    yield from bad_rows


def _table(path: Path, bad_rows: list[BadRow]) -> dict[str, str]:
    """From the first word to the rest of each line; empty where there is no such file."""
    table: dict[str, str] = {}
    if path.is_file():
        for _, line in lines(path):
            if isinstance(line, BadRow):
                bad_rows.append(line)
            else:
                name, rest = _split(line)
                table[name] = rest
    return table


def _split(line: str) -> tuple[str, str]:
    name, *rest = line.split(maxsplit=1)
    return name, rest[0] if rest else ""


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return NOT_TOLD


FORMAT = Format(
    name="Kaldi data directory (wav.scp with text or trans.txt)", recognises=_recognises, files=_files, rows=_rows
)
