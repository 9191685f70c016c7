"""Seeded damage to valid input: one value gone, of another type, out of range or hostile; a file cut, flipped, gone."""

import copy
import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2, 10**30, -(10**30), 10**400, 0.5, -0.5, 1e-300, 1e308, float("nan"), float("inf"),
    "", " ", "x", "0", "-1", "1e400", "nan", "NaN", "None", "null", "../../etc/passwd", "/etc/passwd", "/dev/zero",
    "/dev/null", "/", ".", "..", "~", "a/b", "-rf", "--help", "\u0000", "a\nb", "\ud800", "\ufeff", "\u202e", "é" * 300,
    "x" * 20_000, "{speech}", "%s%n", "$(id)", "`id`", "=1+1", "<b>&", "😀", [], {}, [[]], [None], [1, "x"], {"": None},
    {"a": {"b": []}}, ["x"] * 1000,
]  # fmt: skip
"""What no field expects, and what people and attackers write."""

DEEP = 3000
"""Levels of nesting that break recursive readers."""


def hostile(rng: random.Random) -> Any:
    """Any value that JSON, YAML or a cell can hold."""
    return copy.deepcopy(rng.choice(HOSTILE))


def damaged_value(value: Any, rng: random.Random) -> Any:
    """`value` with one of its parts, at any depth, missing, replaced, doubled or moved."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return hostile(rng)
    holder, key = rng.choice(places)
    how = rng.choice(("replace", "replace", "replace", "scale", "drop", "double", "rename"))
    if how == "drop":
        del holder[key]
    elif how == "scale" and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] *= rng.choice((-1, 0, 1e-9, 0.5, 2, 1e9, 1e300))
    elif how == "double" and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
    elif how == "rename" and isinstance(holder, dict):
        holder[rng.choice((f"{key}x", key[:-1], key.upper(), "", "__class__"))] = holder.pop(key)
    else:
        holder[key] = hostile(rng)
    return value


def damaged_text(text: str, rng: random.Random) -> str:
    """`text` with a stretch cut, doubled, swapped or replaced by something hostile."""
    if not text:
        return str(hostile(rng))
    start, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    new = rng.choice(
        ("", text[start:end] * 2, str(hostile(rng)), text[start:end][::-1], rng.choice("\t\n\0,:=#\"'[]{}()-"))
    )
    return text[:start] + new + text[end:]


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """`data` cut short, with bytes flipped, zeroed, added, or doubled."""
    kind = rng.choice(("cut", "cut", "flip", "flip", "zero", "insert", "double", "empty", "utf16", "bom"))
    at = rng.randrange(len(data) + 1)
    if kind == "cut":
        return data[:at]
    if kind == "flip":
        out = bytearray(data)
        for _ in range(rng.choice((1, 1, 4, 32)) if data else 0):
            out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out)
    if kind == "zero":
        return data[:at] + bytes(min(len(data) - at, 64)) + data[at + 64 :]
    if kind == "insert":
        return data[:at] + rng.randbytes(rng.choice((1, 4, 1000))) + data[at:]
    return {
        "double": data + data,
        "empty": b"",
        "utf16": data.decode("utf-8", "replace").encode("utf-16", "surrogatepass"),
        "bom": b"\xef\xbb\xbf" + data,
    }[kind]


def damage_file(path: Path, rng: random.Random) -> None:
    """Damage one file in place, most often by what its format is made of."""
    if rng.random() < 0.05:
        _replace(path, rng)
        return
    data, by_structure = path.read_bytes(), STRUCTURED.get(path.suffix)
    try:
        damaged = by_structure(data, rng) if by_structure is not None and rng.random() < 0.8 else None
    except (ValueError, RecursionError, csv.Error):  # it is damaged already
        damaged = None
    path.write_bytes(damaged_bytes(data, rng) if damaged is None else damaged)


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def _replace(path: Path, rng: random.Random) -> None:
    """Another kind of thing at the same place."""
    path.unlink()
    kind = rng.choice(("gone", "folder", "loop", "deep"))
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "deep":
        path.write_text("[" * DEEP + "]" * DEEP + "\n")


def _json(data: bytes, rng: random.Random) -> bytes:
    return _dumped(damaged_value(json.loads(data), rng))


def _json_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    filled = [position for position, line in enumerate(lines) if line.strip()]
    if not filled:
        return _dumped(hostile(rng))
    chosen = rng.choice(filled)
    value = json.loads(lines[chosen])
    lines[chosen] = _dumped(hostile(rng) if rng.random() < 0.1 else damaged_value(value, rng))
    return b"\n".join(lines)


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _table(delimiter: str) -> Callable[[bytes, random.Random], bytes]:
    def damage(data: bytes, rng: random.Random) -> bytes:
        rows = list(csv.reader(io.StringIO(data.decode()), delimiter=delimiter))
        row = rng.choice([0, *range(len(rows))])
        if not rows or not rows[row]:
            return data
        cell = rng.randrange(len(rows[row]))
        how = rng.choice(("replace", "replace", "drop", "add", "row"))
        if how == "replace":
            rows[row][cell] = str(hostile(rng)).replace("\ud800", "?")
        elif how == "drop":
            del rows[row][cell]
        elif how == "add":
            rows[row].insert(cell, "1")
        else:
            del rows[row]
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter).writerows(rows)
        return out.getvalue().encode()

    return damage


def _text(data: bytes, rng: random.Random) -> bytes:
    return damaged_text(data.decode("utf-8", "replace"), rng).encode("utf-8", "surrogatepass")


STRUCTURED: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": _json,
    ".yaml": _json,
    ".jsonl": _json_lines,
    ".csv": _table(","),
    ".tsv": _table("\t"),
    ".txt": _text,
    ".scp": _text,
    "": _text,
}
"""Damage that keeps a file's outer form, so that what lies behind the parser is met too."""
