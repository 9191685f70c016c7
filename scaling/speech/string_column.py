"""A column of strings as one run of bytes, on disk or in memory: millions of strings take no more than their bytes."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray

DECODED_AT_ONCE = 65_536
"""Strings decoded together while iterating: a few MB of bytes; larger is no faster."""


class StringColumn(Sequence[str]):
    """Strings in `utf8` bytes (uint8); the i-th ends before byte `ends[i]`. `rows` chooses some, in any order."""

    __slots__ = ("ends", "rows", "utf8")

    def __init__(self, utf8: npt.NDArray[np.uint8], ends: IntArray, rows: IntArray | None = None) -> None:
        self.utf8, self.ends, self.rows = utf8, ends, rows

    @classmethod
    def of(cls, strings: Sequence[str]) -> "StringColumn":
        """A column of these strings.

        >>> list(StringColumn.of(["one", "", "三"]))
        ['one', '', '三']
        """
        encoded = [string.encode() for string in strings]
        ends = np.cumsum([len(string) for string in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends)

    def take(self, rows: IntArray) -> "StringColumn":
        """The strings at `rows`, in that order, without copying bytes."""
        return StringColumn(self.utf8, self.ends, rows if self.rows is None else self.rows[rows])

    def sizes(self) -> IntArray:
        """The number of bytes of each string (N,)."""
        sizes = np.diff(self.ends, prepend=0)
        return sizes if self.rows is None else sizes[self.rows]

    def __len__(self) -> int:
        return len(self.ends if self.rows is None else self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        row = places if self.rows is None else int(self.rows[places])
        start = int(self.ends[row - 1]) if row else 0
        return str(self.utf8.data[start : int(self.ends[row])], "utf-8")

    def __iter__(self) -> Iterator[str]:
        utf8 = self.utf8.data
        for first in range(0, len(self), DECODED_AT_ONCE):
            rows = np.arange(first, min(first + DECODED_AT_ONCE, len(self)))
            rows = rows if self.rows is None else self.rows[rows]
            starts = np.where(rows > 0, self.ends[rows - 1], 0)
            for start, end in zip(starts.tolist(), self.ends[rows].tolist(), strict=True):
                yield str(utf8[start:end], "utf-8")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # arrays have none
