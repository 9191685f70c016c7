"""Rows of a corpus as columns on disk: written a chunk at a time, then mapped into memory.

pyarrow has such columns too, but it would be a dependency of 150 MB of everyone who plans a study.
"""

from collections.abc import Iterator, Mapping, Sequence
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

PLACE = np.dtype(
    [("offset", "i8"), ("size", "i8"), ("start", "f8"), ("duration", "f8"), ("line", "i8"), ("channel", "i8")]
)
"""Where in its file the audio of a row lies, with the fields of `Row`."""

STRING_COLUMNS = ("ids", "texts", "speakers", "files")
NUMBER_COLUMNS: dict[str, npt.DTypeLike] = {"file": np.int64, "place": PLACE, "id_hashes": np.int64}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What is stored of each row.

    A blank or missing text is "". `files` lists the paths of audio files, without repeating a path in neighbouring
    rows, and `file` is the index in `files` for each row. `id_hashes` are equal for equal ids, and 0 where the corpus
    gives no id; `ids` then has a name made of that of the recording (`scaling.speech.utterance_names`).
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
        """The columns that a writer left in `folder`, mapped. Raises OSError or ValueError where a file is damaged."""
        columns: dict[str, Any] = {name: _mapped(folder, name, dtype) for name, dtype in NUMBER_COLUMNS.items()}
        for name in STRING_COLUMNS:
            ends = _mapped(folder, f"{name}.ends", np.int64)
            columns[name] = StringColumn(_mapped(folder, name, np.uint8), ends)
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
        offset, size, start, duration, line, channel = self.place[row].item()
        audio = self.files[int(self.file[row])]
        return Row(audio, None, "", "", duration, start, offset, size, line, channel).clip


def rename_utterances(folder: Path, columns: Columns, names: Mapping[int, str]) -> Columns:
    """The columns in `folder`, with other names of some rows."""
    column = StringColumn.of([names.get(row, name) for row, name in enumerate(columns.ids)])
    for name, content in (("ids", column.utf8), ("ids.ends", column.ends)):
        content.tofile(folder / "new")
        (folder / "new").replace(folder / f"{name}.bin")  # the old file is still mapped
    return Columns.opened(folder)


class ColumnWriter:
    """Writes columns into a folder, holding nothing but the current chunk in memory."""

    def __init__(self, folder: Path) -> None:
        names = (*STRING_COLUMNS, *(f"{name}.ends" for name in STRING_COLUMNS), *NUMBER_COLUMNS)
        self._out = {name: (folder / f"{name}.bin").open("wb") for name in names}
        self._bytes = dict.fromkeys(STRING_COLUMNS, 0)
        self._files, self._last_file = 0, ""

    def add(self, rows: Iterator[Row]) -> None:
        """Write these rows after the earlier ones."""
        while chunk := list(islice(rows, CHUNK)):
            audio, texts, ids, speakers, durations, starts, offsets, sizes, lines, channels, _ = zip(
                *chunk, strict=True
            )
            self._write_strings("ids", [row.name for row in chunk])
            self._write_strings("texts", ["" if text is None or not text.strip() else text for text in texts])
            self._write_strings("speakers", speakers)
            self._write_files(audio)
            self._write_numbers("id_hashes", [hash(name) if name else 0 for name in ids])
            self._write_numbers("place", list(zip(offsets, sizes, starts, durations, lines, channels, strict=True)))

    def close(self) -> None:
        """Finish the files; from then on `Columns.opened` reads them."""
        for out in self._out.values():
            out.close()

    def _write_files(self, audio: Sequence[str]) -> None:
        new_files, indices = list[str](), list[int]()
        for path in audio:
            if path != self._last_file:
                new_files.append(path)
                self._files, self._last_file = self._files + 1, path
            indices.append(self._files - 1)
        self._write_strings("files", new_files)
        self._write_numbers("file", indices)

    def _write_strings(self, name: str, strings: Sequence[str]) -> None:
        encoded = [string.encode(errors="replace") for string in strings]
        ends = self._bytes[name] + np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        self._out[f"{name}.ends"].write(ends.tobytes())
        self._bytes[name] += self._out[name].write(b"".join(encoded))

    def _write_numbers(self, name: str, values: Sequence[Any]) -> None:
        self._out[name].write(np.array(values, dtype=NUMBER_COLUMNS[name]).tobytes())


def _mapped(folder: Path, name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    path = folder / f"{name}.bin"
    if not path.stat().st_size:
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)  # slices of a memmap cost ten times as much
