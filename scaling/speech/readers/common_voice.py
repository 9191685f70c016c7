"""Common Voice: one of its tables (`train.tsv`, `dev.tsv`, `test.tsv`, `validated.tsv`) beside the folder `clips`.

It is read by the names of its columns: `path`, `sentence`, `client_id`. Other columns have changed between versions.
"""

from pathlib import Path

from scaling.speech.readers.row import BadRow, Format, Row, Rows, lines

NEEDED = ("path", "sentence")


def _rows(path: Path, _part: str) -> Rows:
    columns: dict[str, int] = {}
    for number, line in lines(path):
        if isinstance(line, BadRow):
            yield line
            continue
        cells = line.split("\t")
        if not columns:
            columns = {name: place for place, name in enumerate(cells)}
            if absent := [name for name in NEEDED if name not in columns]:
                yield BadRow("no such column", f"{path}, line {number}: no {' or '.join(absent)} in {', '.join(cells)}")
                return
            continue
        if len(cells) <= max(columns[name] for name in NEEDED):
            yield BadRow("line cut short", f"{path}, line {number}: {len(cells)} cells; expected {len(columns)}")
            continue
        name = cells[columns["path"]]
        speaker = cells[columns["client_id"]] if "client_id" in columns else ""
        if "/" in name:
            yield BadRow("path outside clips", f"{path}, line {number}: {name!r}; expected the name of a file in clips")
            continue
        audio, identity = f"{path.parent}/clips/{name}", name.rpartition(".")[0] or name
        yield Row(audio, cells[columns["sentence"]], id=identity, speaker=speaker, line=number)


FORMAT = Format(
    name="table of Common Voice (train.tsv beside clips/)",
    recognises=lambda path: path.is_file() and path.suffix == ".tsv" and (path.parent / "clips").is_dir(),
    rows=_rows,
)
