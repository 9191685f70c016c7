"""A text never names an option that its reader does not have: every text of analysis is walked, and every verb."""

import ast
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest
import typer

import analysis
from scaling.cli import app

ROOT = Path(analysis.__file__).parent
VERBS = {verb.name: verb for verb in typer.main.get_command(app).commands.values()}
OPTIONS = {name: {flag for parameter in verb.params for flag in parameter.opts} for name, verb in VERBS.items()}
READING_TABLES = [name for name, verb in VERBS.items() if "source" in {parameter.name for parameter in verb.params}]
SHARED = set.intersection(*(OPTIONS[name] for name in READING_TABLES))

MENTION = re.compile(r"(?:^|[\s`(:'\"])(?P<option>--[a-z][a-z-]*)")


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """The line and text of each string of a module, but those that nobody but a reader of the code sees."""
    tree = ast.parse(file.read_text("utf-8"))
    remarks = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and {id(node)}.isdisjoint(remarks | parts):
            yield node.lineno, node.value


def verb_of(text: str, end: int) -> str | None:
    """The verb that a text names before an option: the last in its sentence, as in "`fit --law`" and "fit: --law"."""
    named = [word for word in re.findall(r"(?<![-\w])\w+", re.split(r"[.;]\s", text[:end])[-1]) if word in VERBS]
    return named[-1] if named else None


def misleading(text: str, known: AbstractSet[str] = SHARED) -> list[str]:
    """The options that a text names, and that not every reader of it has. It may begin with the one that was given."""
    return [
        found["option"]
        for found in MENTION.finditer(text)
        if found.start("option") > 0
        if found["option"] not in known | OPTIONS.get(verb_of(text, found.start("option")) or "", set())
    ]


def verbs_of(file: Path) -> list[str]:
    """The verbs that a module of the command line holds."""
    return re.findall(r"^def (\w+)\(", file.read_text("utf-8"), re.MULTILINE) if file.parent.name == "cli" else []


@pytest.mark.parametrize("file", [pytest.param(file, id=str(file.relative_to(ROOT))) for file in ROOT.rglob("*.py")])
def test_texts_name_options_that_every_reader_has_or_the_verb_that_has_them(file):
    if file.parent.name == "cli" and file.name == "options.py":
        pytest.skip("the options themselves")
    own = (OPTIONS[name] for name in verbs_of(file) if name in OPTIONS)
    known = SHARED.union(*own)
    assert [(line, text) for line, text in texts(file) if misleading(text, known)] == []


@pytest.mark.parametrize("name", VERBS)
def test_help_names_options_that_the_verb_has(name):
    verb = VERBS[name]
    said = [verb.help or "", *(getattr(parameter, "help", None) or "" for parameter in verb.params)]
    assert [text for text in said if misleading(f" {text}", OPTIONS[name])] == []


def test_the_walk_knows_what_misleads():
    assert misleading("Give --at") == ["--at"]
    assert misleading("--at: missing; see --sets") == ["--sets"]
    assert misleading("predict with --at") == []
    assert misleading("see `fit --law`; give --law") == ["--law"]
    assert misleading("say --columns y=NAME or --where") == []


def test_every_verb_that_reads_a_table_has_the_options_of_a_table():
    assert set(READING_TABLES) == {
        "fit", "predict", "laws", "compare", "recommend", "forecast", "report", "frontier", "coverage", "design"
    }  # fmt: skip
    assert {"--columns", "--where", "--group", "--strategy", "--encoder", "--llm", "--json"} <= SHARED
