"""Files as spreadsheets, scripts and people leave them: where the header stands, what parts the fields, JSON in any
orientation, gzipped files. All hold the same three runs.
"""

import gzip
import json

import pytest

from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import read_table
from scaling.errors import InputError

FLOPS, ERRORS = [1e17, 1e18, 1e19], [0.3, 0.2, 0.1]
RUNS = list(zip(FLOPS, ERRORS, strict=True))
LINES = [f"{c:g},{y!r}" for c, y in RUNS]
BY_COLUMN = {"flops": FLOPS, "cer": ERRORS}
BY_ROW = [{"flops": c, "cer": y} for c, y in RUNS]
IN_UNITS = [f"{c / 1e18:g},{100 * y:g},a" for c, y in RUNS]
CSV = "\n".join(["flops,cer", *LINES]) + "\n"


def bars(*lines):
    return "".join(f"| {line.replace(',', ' | ')} |\n" for line in lines)


TEXTS = {
    "blank_lines_first.csv": "\n  \n# my runs\n\n" + CSV,
    "header_in_a_remark.txt": "\n".join(["# flops cer", *(line.replace(",", " ") for line in LINES)]),
    "header_with_a_number_sign.csv": "\n".join(["#,flops,cer", *(f"{i},{line}" for i, line in enumerate(LINES))]),
    "units_below.csv": "\n".join(["Compute,CER,name", "EFLOPs,%,-", *IN_UNITS]),
    "units_in_brackets.csv": "\n".join(["Compute,CER,Size", "[FLOPs],[],[M]", *(f"{line},244" for line in LINES)]),
    "markdown.md": bars("FLOPs,CER", "---,--:", *LINES),
    "markdown.csv": bars("FLOPs,**CER**", ":---,---", *LINES),
    "spaces.txt": "\n".join(["flops   cer", *(line.replace(",", "     ") for line in LINES)]),
    "separators_in_notes.csv": "\n".join(["flops,cer,notes", *(f"{line},a\u2028b\x0bc" for line in LINES)]),
    "list.json": json.dumps(BY_ROW, indent=1),
    "columns.json": json.dumps(BY_COLUMN),
    "pandas.json": json.dumps({name: dict(enumerate(values)) for name, values in BY_COLUMN.items()}),
    "by_name.json": json.dumps({f"run-{i}": row for i, row in enumerate(BY_ROW)}),
    "lines.json": "".join(json.dumps(row) + "\n" for row in BY_ROW),
    "nested.jsonl": "".join(
        json.dumps({"config": {"train": {"flops": c}}, "summary": {"eval/cer": y}}) + "\n"
        for c, y in RUNS
    ),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_read_as_it_was_left(tmp_path, name, packed):
    file = tmp_path / (f"{name}.gz" if packed else name)
    content = TEXTS[name].encode()
    file.write_bytes(gzip.compress(content) if packed else content)
    points, _ = points_of(read_table(file))
    assert [point.flops for point in points] == FLOPS
    assert [point.cer for point in points] == pytest.approx(ERRORS)


def test_a_row_without_numbers_that_names_no_unit_is_a_row(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("name,flops,cer\nb,n/a,n/a\n" + "".join(f"b,{line}\n" for line in LINES))
    assert len(read_table(file).rows) == 4


REFUSED = {
    "header_in_two_lines.csv": (b",CER,,\nFLOPs,joint,efin,\n1e18,.2,.1,\n", ":2: 'efin' stands in a column that the"),
    "no_header.csv": (b"1e18,.2\n1e19,.1\n", ":1: '1e18,.2' are numbers; expected a header"),
    "latin.csv": ("flops;cer;Gr\u00f6\u00dfe\n".encode("latin-1"), ":1: not UTF-8 text; save it as UTF-8"),
    "book.xlsx": (b"PK\x03\x04", "a workbook; save the sheet with the runs as CSV"),
    "uneven.json": (b'{"flops": [1e18, 1e19], "cer": [0.1]}', "columns of equal length by name"),
    "broken.csv.gz": (b"not packed", "not readable"),
    "empty_cell.csv": (b"flops,cer\n,.2\n1e18,.1\n", ":2: flops is empty, expected a positive number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_with_the_way_out(tmp_path, name):
    content, told = REFUSED[name]
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(InputError) as refused:
        points_of(read_table(file))
    assert told in str(refused.value)
