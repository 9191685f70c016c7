"""Hugging Face `datasets` on disk: a folder that `save_to_disk` wrote, or a Parquet table that names audio files.

Audio bytes in Arrow files are read in place, as so many bytes at an offset; pyarrow is only needed to find them. A
Parquet table that holds audio bytes is refused, with advice: its pages are compressed and pyarrow reads whole row
groups, so that one recording costs its 100 neighbours too (5 to 50 ms, measured on 16 MB), and training reads in no
order.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.speech.readers.row import BadRow, Format, Row, Rows, beside, channel_number

AUDIO = "audio"
TEXT = ("text", "sentence", "transcription", "transcript", "normalized_text")
SPEAKER = ("speaker_id", "speaker", "client_id")
ID = ("id", "utt_id", "segment_id")
CHANNEL = "channel"
"""Names of columns in LibriSpeech, Common Voice, FLEURS and VoxPopuli; the first that exists is used."""


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as absent:
        raise InputError("Arrow and Parquet need pyarrow: pip install 'asr-scaling[table]'") from absent
    return pyarrow


def _arrow(path: Path, _part: str) -> Rows:
    pyarrow, row = _pyarrow(), 0
    for file in sorted(path.glob("*.arrow")):
        try:
            buffer = pyarrow.memory_map(str(file)).read_buffer()
            for batch in pyarrow.ipc.open_stream(pyarrow.BufferReader(buffer)):
                yield from _rows_of_batch(batch, file, buffer, row)
                row += batch.num_rows
        except (pyarrow.ArrowException, OSError) as error:
            yield BadRow("file cut short", f"{file}: {error}")


def _rows_of_batch(batch: Any, file: Path, buffer: Any, before: int) -> Rows:
    columns = _columns(batch.schema.names, file)
    audio = batch.column(columns[AUDIO])
    paths, places = _audio_columns(audio, file, buffer)
    texts, speakers, ids = (_strings(batch, columns[name]) for name in ("text", "speaker", "id"))
    channels = batch.column(CHANNEL).to_pylist() if CHANNEL in batch.schema.names else [None] * batch.num_rows
    for row in range(batch.num_rows):
        described = {"text": texts[row], "speaker": speakers[row] or "", "id": ids[row] or "", "line": before + row + 1}
        place = places[row]
        try:
            described["channel"] = channel_number(channels[row])
        except ValueError as error:
            yield BadRow("field missing or of the wrong type", f"{file}, row {before + row + 1}: {error}")
            continue
        if place is not None:
            offset, size = place
            yield Row(str(file), **described, offset=offset, size=size, member=f"{file.stem}-{before + row:08d}")
        elif path := paths[row]:
            yield Row(beside(file.parent, path), **described)
        else:
            yield BadRow("no audio", f"{file}, row {before + row + 1}: neither bytes nor a path")


def _audio_columns(audio: Any, file: Path, buffer: Any) -> tuple[list[str | None], list[tuple[int, int] | None]]:
    """For each row the path of its audio, and the (offset in the file, size) of its bytes; None where not given."""
    pyarrow = _pyarrow()
    if not pyarrow.types.is_struct(audio.type):
        return audio.cast(pyarrow.string()).to_pylist(), [None] * len(audio)
    fields = {field.name: number for number, field in enumerate(audio.type)}
    paths = audio.field(fields["path"]).to_pylist() if "path" in fields else [None] * len(audio)
    if "bytes" not in fields or audio.field(fields["bytes"]).null_count == len(audio):
        return paths, [None] * len(audio)
    return paths, list(_places(audio.field(fields["bytes"]), file, buffer))


def _places(column: Any, file: Path, buffer: Any) -> Iterator[tuple[int, int] | None]:
    import numpy as np

    if buffer is None or _pyarrow().types.is_binary_view(column.type):
        raise InputError(
            f"{file}: holds audio in a form that cannot be read in place; expected a folder that datasets wrote:"
            " load_dataset(...).save_to_disk(...)"
        )
    _, offsets, data = column.buffers()
    width = np.int64 if _pyarrow().types.is_large_binary(column.type) else np.int32
    ends = np.frombuffer(offsets, dtype=width)[column.offset : column.offset + len(column) + 1].tolist()
    base = data.address - buffer.address
    if not 0 <= base <= buffer.size - ends[-1]:
        raise InputError(f"{file}: compressed Arrow cannot be read in place; expected it uncompressed")
    for row, is_given in enumerate(column.is_valid().to_pylist()):
        yield (base + ends[row], ends[row + 1] - ends[row]) if is_given else None


def _columns(names: list[str], file: Path) -> dict[str, str | None]:
    if AUDIO not in names:
        raise InputError(f"{file}: no column {AUDIO!r}; it has {', '.join(names)}")
    text = next((name for name in TEXT if name in names), None)
    if text is None:
        raise InputError(f"{file}: no column of texts ({', '.join(TEXT)}); it has {', '.join(names)}")
    first = {
        kind: next((name for name in known if name in names), None)
        for kind, known in (("speaker", SPEAKER), ("id", ID))
    }
    return {AUDIO: AUDIO, "text": text, **first}


def _strings(batch: Any, name: str | None) -> list[Any]:
    if name is None:
        return [None] * batch.num_rows
    return [None if value is None else str(value) for value in batch.column(name).to_pylist()]


def _parquet(path: Path, _part: str) -> Rows:
    pyarrow, row = _pyarrow(), 0
    try:
        table = pyarrow.parquet.ParquetFile(path)
        for batch in table.iter_batches():
            yield from _rows_of_batch(batch, path, None, row)
            row += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        yield BadRow("file cut short", f"{path}: {error}")


def _files(path: Path) -> Iterable[Path]:
    return sorted(path.glob("*.arrow")) if path.is_dir() else [path]


ARROW = Format(
    name="folder of a Hugging Face dataset (save_to_disk)",
    recognises=lambda path: path.is_dir() and (path / "dataset_info.json").is_file() and any(path.glob("*.arrow")),
    files=_files,
    rows=_arrow,
)
PARQUET = Format(
    name="Parquet table that names audio files",
    recognises=lambda path: path.is_file() and path.suffix == ".parquet",
    files=_files,
    rows=_parquet,
)
