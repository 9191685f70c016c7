"""The instrument that measures the tests: its changes, its map of the suite, its verdicts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from operators import mutate, mutations

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("line", "kind", "mutated"),
    [
        ("b = a < c", "comparison", {"b = a <= c", "b = a >= c"}),
        ("b = (a) not in (a)", "comparison", {"b = (a) in (a)"}),
        ('b = "é" == a', "comparison", {'b = "é" != a'}),
        ("b = a - c", "arithmetic", {"b = a + c"}),
        ("b = a and c", "and or", {"b = a or c"}),
        ("b = f(not a)", "dropped not", {"b = f((a))"}),
        ("b = a[1]", "constant", {"b = a[2]"}),
        ("b = f(x=True)", "constant", {"b = f(x=False)"}),
        ("b = c if a else d", "negated condition", {"b = c if not (a) else d"}),
        ("self.a = a", "removed statement", {"pass"}),
        ("a.append(b)", "removed statement", {"pass"}),
    ],
)
def test_each_kind_of_change_is_made_where_it_may_be(line: str, kind: str, mutated: set[str]) -> None:
    assert {(m.kind, m.mutated) for m in mutations(f"def f(a):\n    {line}\n")} == {(kind, text) for text in mutated}


@pytest.mark.parametrize(
    "type_and_wrong", [("bool", "return not (a)"), ("int", "return (a) + 1"), ("str", 'return ""')]
)
def test_what_is_returned_is_wrong_and_of_its_type(type_and_wrong: tuple[str, str]) -> None:
    annotation, wrong = type_and_wrong
    assert [m.mutated for m in mutations(f"def f(a) -> {annotation}:\n    return a\n")] == [wrong]


@pytest.mark.parametrize(
    "line",
    [
        '"""Text of 1 < 2."""',
        'print(1 + 2, f"{a + 1}")',
        "b: int | None",
        "return (a)",
        'b = f"{a + 1}"',
        'b = a / "c"',
    ],
)
def test_what_says_little_of_tests_is_left_alone(line: str) -> None:
    assert mutations(f"x = 1 + 2\ndef f(a):\n    {line}\n") == []


def test_a_change_is_found_again_where_the_code_has_moved() -> None:
    old = "class C:\n    def f(self):\n        x = g(1)\n        x = g(1)\n"
    second = mutations(old)[1]
    assert (second.function, second.nth) == ("C.f", 1)
    new = "import g\nclass C:\n  def f(self):\n    if g:\n        x = g(1)\n    x = g(1)\n"
    fields = (second.function, second.line, second.nth, second.mutated)
    assert mutate(new, *fields) == (6, new[: -len("x = g(1)\n")] + "x = g(2)\n")
    assert mutate(new.replace("def f", "def h"), *fields) is None
    assert mutate(new.replace("  x", "  y", 1), *fields) is None


PRODUCT = """
def kept(n):
    return n + 1

def guarded(n):
    return n + 2

def shared(n):
    return n + 3

def elsewhere(n):
    return n + 4

def untested(n):
    return n + 5
"""

TESTS = """
import subprocess, sys
import pytest
from scaling.product import guarded, kept, shared

@pytest.fixture(scope="session")
def made():
    return shared(0)

def test_kept():
    kept(1)

def test_guarded():
    assert guarded(1) == 3

def test_that_only_uses_what_was_made(made):
    pass

def test_what_was_made(made):
    assert made == 3

def test_elsewhere():
    code = "from scaling.product import elsewhere; assert elsewhere(1) == 5"
    subprocess.run([sys.executable, "-c", code], check=True)
"""


@pytest.mark.slow
def test_a_mutation_survives_where_no_test_looks_at_what_it_changes(tmp_path: Path) -> None:
    for name in ("scaling", "sweeps", "analysis", "tests"):
        (tmp_path / name).mkdir()
    for name, text in {"scaling/__init__": "", "scaling/product": PRODUCT, "tests/test_product": TESTS}.items():
        (tmp_path / f"{name}.py").write_text(text)
    shutil.copytree(HERE, tmp_path / "tests/mutation", ignore=shutil.ignore_patterns("test_*"))
    command = [sys.executable, "tests/mutation/mutate.py", "before", "--record", "record.json", "--work", "work"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = {row["function"]: row["before"] for row in json.loads((tmp_path / "record.json").read_text())}
    assert {function: row["outcome"] for function, row in found.items()} == {
        "kept": "survived",
        "guarded": "killed",
        "shared": "killed",
        "elsewhere": "killed",
    }
    assert found["shared"]["by"] == "tests/test_product.py::test_what_was_made"
    (tmp_path / "tests/test_product.py").write_text(TESTS.replace("assert guarded(1) == 3", "guarded(1)"))
    shutil.rmtree(tmp_path / "work")
    after = subprocess.run([*command[:2], "after", *command[3:]], cwd=tmp_path, capture_output=True, text=True)
    assert after.returncode == 1
    assert [line for line in after.stdout.splitlines() if "LOST" in line] == ["LOST: scaling/product.py guarded"]
