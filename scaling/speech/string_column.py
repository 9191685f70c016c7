"""A column of text as one run of bytes: millions of strings at the price of their bytes, on disk or in memory."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from scaling.arrays import IntArray

DECODED_AT_ONCE = 65_536
"""Strings decoded together while iterating: a few MB of bytes, and no gain beyond."""


class StringColumn(Sequence[str]):
    """Strings of a UTF-8 `blob` (uint8), the i-th ending before byte `ends[i]`; `rows` chooses some, in any order."""

    __slots__ = ("blob", "ends", "rows")

    def __init__(self, blob: npt.NDArray[np.uint8], ends: IntArray, rows: IntArray | None = None) -> None:
        self.blob, self.ends, self.rows = blob, ends, rows

    @classmethod
    def of(cls, texts: Sequence[str]) -> "StringColumn":
        """These texts as a column.

        >>> list(StringColumn.of(["one", "", "三"]))
        ['one', '', '三']
        """
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends)

    def take(self, rows: IntArray) -> "StringColumn":
        """The strings at `rows`, in that order; no bytes are copied."""
        return StringColumn(self.blob, self.ends, rows if self.rows is None else self.rows[rows])

    def sizes(self) -> IntArray:
        """Bytes of each string (N,)."""
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
        return str(self.blob.data[start : int(self.ends[row])], "utf-8")

    def __iter__(self) -> Iterator[str]:
        held = self.blob.data
        for first in range(0, len(self), DECODED_AT_ONCE):
            rows = np.arange(first, min(first + DECODED_AT_ONCE, len(self)))
            rows = rows if self.rows is None else self.rows[rows]
            starts = np.where(rows > 0, self.ends[rows - 1], 0)
            for start, end in zip(starts.tolist(), self.ends[rows].tolist(), strict=True):
                yield str(held[start:end], "utf-8")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # as any sequence of arrays
