"""Rows of a corpus as columns on disk: written a chunk at a time, then mapped into memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray
from scaling.speech.audio import Clip
from scaling.speech.readers.row import Row
from scaling.speech.string_column import StringColumn

CHUNK = 16_384
"""Rows held as Python values at a time."""

PLACE = np.dtype([("offset", "i8"), ("size", "i8"), ("start", "f8"), ("duration", "f8"), ("line", "i8")])
"""Where in its file a row's audio lies, as in `Row`."""

TEXTS = ("ids", "texts", "speakers", "files")
NUMBERS: dict[str, Any] = {"file": np.int64, "place": PLACE, "id_hashes": np.int64}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What is written of each row. `files` differ from their neighbours; `file` says which one a row lies in.

    A blank or missing text is "". `id_hashes` are equal for equal ids, and 0 where the corpus gives none; `ids` then
    has the name of the audio file.
    """

    ids: StringColumn
    texts: StringColumn
    speakers: StringColumn
    files: StringColumn
    file: IntArray
    place: npt.NDArray[Any]
    id_hashes: IntArray

    @classmethod
    def opened(cls, folder: Path) -> "Columns":
        """The columns that a writer left in `folder`, mapped. Raises OSError or ValueError where they are not whole."""
        columns: dict[str, Any] = {name: StringColumn(_mapped(folder, name), _ends(folder, name)) for name in TEXTS}
        columns |= {name: _mapped(folder, name, dtype) for name, dtype in NUMBERS.items()}
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.place)

    def take(self, rows: IntArray) -> "Columns":
        """The chosen rows, in that order."""
        return Columns(
            ids=self.ids.take(rows),
            texts=self.texts.take(rows),
            speakers=self.speakers.take(rows),
            files=self.files,
            file=self.file[rows],
            place=self.place[rows],
            id_hashes=self.id_hashes[rows],
        )

    def clip(self, row: int) -> Clip:
        """Where the audio of a row lies."""
        offset, size, start, duration, line = self.place[row].item()
        return Row(self.files[int(self.file[row])], None, "", "", duration, start, offset, size, line).clip


class ColumnWriter:
    """Columns on their way into a folder; nothing but the current chunk is held in memory."""

    def __init__(self, folder: Path) -> None:
        self._out = {name: (folder / f"{name}.bin").open("wb") for name in (*TEXTS, *map(_ends_of, TEXTS), *NUMBERS)}
        self._bytes = dict.fromkeys(TEXTS, 0)
        self._files, self._last_file = 0, ""

    def add(self, rows: Iterator[Row]) -> None:
        """Write these rows after those before."""
        while chunk := list(islice(rows, CHUNK)):
            audio, texts, ids, speakers, durations, starts, offsets, sizes, lines = zip(*chunk, strict=True)
            self._write_texts("ids", [row.name for row in chunk])
            self._write_texts("texts", ["" if text is None or not text.strip() else text for text in texts])
            self._write_texts("speakers", speakers)
            self._write_files(audio)
            self._write("id_hashes", [hash(name) if name else 0 for name in ids])
            self._write("place", list(zip(offsets, sizes, starts, durations, lines, strict=True)))

    def close(self) -> None:
        """Finish the files; from then on `Columns.opened` reads them."""
        for out in self._out.values():
            out.close()

    def _write_files(self, audio: Sequence[str]) -> None:
        new, places = list[str](), list[int]()
        for path in audio:
            if path != self._last_file:
                new.append(path)
                self._files, self._last_file = self._files + 1, path
            places.append(self._files - 1)
        self._write_texts("files", new)
        self._write("file", places)

    def _write_texts(self, name: str, texts: Sequence[str]) -> None:
        encoded = [text.encode(errors="replace") for text in texts]
        ends = self._bytes[name] + np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        self._out[_ends_of(name)].write(ends.tobytes())
        self._bytes[name] += self._out[name].write(b"".join(encoded))

    def _write(self, name: str, values: Sequence[Any]) -> None:
        self._out[name].write(np.array(values, dtype=NUMBERS[name]).tobytes())


def _ends_of(name: str) -> str:
    return f"{name}.ends"


def _ends(folder: Path, name: str) -> IntArray:
    return _mapped(folder, _ends_of(name), np.int64)


def _mapped(folder: Path, name: str, dtype: Any = np.uint8) -> npt.NDArray[Any]:
    path = folder / f"{name}.bin"
    if not path.stat().st_size:
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)  # slices of a memmap cost ten times as much
