"""How strong the tests are: a sample of small wrong changes of the code, and which of them the tests notice.

    python tests/mutation/mutate.py NAME [--record FILE] [--work FOLDER]

A sample of mutations is drawn over all packages once, from the lines that tests execute, and kept in the record. Each
one is made in a copy of the code, and the tests that execute its line are run there, the quickest first, until one
fails. What came of it stands in the record under NAME, beside what came of it with the tests of an earlier NAME.
Exit code 1: a mutation that an earlier suite noticed is not noticed by this one.

The whole suite is run once to learn which test executes which line; `--work` keeps this, and `--work` and the record
are what an interrupted run goes on from.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import coverage_map
import pytest
import typer
from coverage_map import CoverageMap
from operators import mutate
from sample import PACKAGES, Mutant, draw

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist")

FIRST_TESTS = 20
"""Run on their own, because most mutations are noticed by them, and to collect all test files takes 10 to 20 s."""

WAITING = 5
"""A run of tests may take this many times its limit of processor time on the clock, beside the work of others."""


def main(
    name: Annotated[str, typer.Argument(help="How this code and its tests are called in the record.")],
    record: Annotated[Path, typer.Option(help="Mutations and what came of them.")] = ROOT
    / "results/benchmarks/mutation.json",
    work: Annotated[Path | None, typer.Option(help="Where the coverage of this suite is kept.")] = None,
    size: Annotated[int, typer.Option(help="Of the sample.")] = 84,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    seconds: Annotated[int, typer.Option(help="Of processor time for each mutation.")] = 120,
    in_motion: Annotated[list[str] | None, typer.Option(help="Files that are about to change.")] = None,
) -> None:
    """Say which mutations the tests notice."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        work = (work or Path(scratch)).absolute()
        tree = Tree(Path(scratch))
        if not (work / "tests.json").exists():
            tree.record_coverage(work)
        known = CoverageMap(work)
        if not record.exists():
            _write(record, draw(ROOT, known, size, seed, in_motion or ()))
        mutants = json.loads(record.read_text())
        for mutant in mutants:
            if name not in mutant:
                mutant[name] = judge(tree, mutant, known, seconds)
                _write(record, mutants)
                typer.echo(f"{mutant['file']} {mutant['function']}: {mutant['mutated']}: {mutant[name]}")
        excuse(tree, mutants, name)
        _write(record, mutants)
    show(mutants, name)
    raise SystemExit(bool(lost(mutants, name)))


class Tree:
    """A copy of the code and its tests, in which one line at a time is wrong."""

    def __init__(self, scratch: Path) -> None:
        """Copy everything that is no build output to `scratch`/tree."""
        self.root = scratch / "tree"
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(self.root), os.environ.get("PYTHONPATH")])),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(scratch),
            "ASR_SCALING_CACHE": str(scratch / "cache"),
            "ASR_SCALING_SHARED": os.environ.get("ASR_SCALING_SHARED", str(ROOT.parent / "shared")),
        }

    def record_coverage(self, folder: Path) -> None:
        """Run the whole suite here and write to `folder` what a CoverageMap reads."""
        command = [sys.executable, coverage_map.__file__, str(folder)]
        subprocess.run(command, cwd=self.root, env=self.environment, check=True)

    def place(self, mutant: Mutant) -> tuple[Path, int, str] | None:
        """The file that has the mutant's line in a function of its name, the line's number and the changed text.

        The mutant's own file is looked at first, then all others: code moves.
        """
        own = self.root / mutant["file"]
        for path in (own, *(path for package in PACKAGES for path in sorted((self.root / package).rglob("*.py")))):
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            found = mutate(text, *(mutant[field] for field in ("function", "line", "nth", "mutated")))
            if found:
                return path, *found
        return None

    def run(self, tests: Sequence[str], seconds: int, *options: str) -> tuple[int | None, list[str]]:
        """The exit code of pytest, None where the tests exceeded their time, and the tests that failed."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-rfE", "--tb=no"]
        limit = ["prlimit", f"--cpu={seconds}:{seconds + 10}"]
        process = subprocess.Popen(
            [*limit, *command, *options, *tests],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output = process.communicate(timeout=WAITING * seconds)[0]
        except subprocess.TimeoutExpired:
            return None, []
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said = [line.partition(" ")[2] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        failed = [max((test for test in tests if line.startswith(test)), key=len, default=line) for line in said]
        return (None if process.returncode == -signal.SIGXCPU else process.returncode), failed


def judge(tree: Tree, mutant: Mutant, known: CoverageMap, seconds: int) -> dict[str, Any]:
    """Make one mutation and run the tests that execute its line until one fails."""
    place = tree.place(mutant)
    if place is None:
        return {"outcome": "gone"}
    path, number, changed = place
    tests = known.quickest_first(known.lines(path.relative_to(tree.root).as_posix()).get(number, ()))
    original = path.read_text(encoding="utf-8")
    path.write_text(changed, encoding="utf-8")
    before = _processor_seconds()
    try:
        outcome = _first_failure(tree, tests, seconds)
    finally:
        path.write_text(original, encoding="utf-8")
    return outcome | {"tests": len(tests), "seconds": round(_processor_seconds() - before, 1)}


def _first_failure(tree: Tree, tests: Sequence[str], seconds: int) -> dict[str, Any]:
    for batch in filter(None, (tests[:FIRST_TESTS], tests[FIRST_TESTS:])):
        code, failed = tree.run(batch, seconds, "--exitfirst")
        if code == pytest.ExitCode.USAGE_ERROR:  # the mutation changed which cases a test has, or broke an import
            code, failed = tree.run(sorted({test.partition("[")[0] for test in batch}), seconds, "--exitfirst")
        if code is None:
            return {"outcome": "out of time"}
        if code:
            return {"outcome": "killed", "by": failed[0] if failed else f"exit code {code}"}
    return {"outcome": "survived"}


def excuse(tree: Tree, mutants: list[Mutant], name: str) -> None:
    """Take back what tests killed that fail without any mutation too."""
    killed = [mutant[name] for mutant in mutants if mutant[name]["outcome"] == "killed"]
    failing = tree.run(sorted({kill["by"] for kill in killed if "::" in kill["by"]}), 3600)[1]
    for kill in killed:
        if kill["by"] in failing:
            kill["outcome"] = "fails without mutation"


def lost(mutants: list[Mutant], name: str) -> list[Mutant]:
    """Mutations still in the code that an earlier suite noticed and this one does not."""
    return [
        mutant
        for mutant in mutants
        if mutant[name]["outcome"] not in ("killed", "gone")
        and any(isinstance(value, dict) and value["outcome"] == "killed" for value in mutant.values())
    ]


def show(mutants: list[Mutant], name: str) -> None:
    """Print what came of the mutations of each package, those that survived, and those that did not before."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        outcomes[".".join(Path(mutant["file"]).parts[:-1])][mutant[name]["outcome"]] += 1
    for package, counts in sorted(outcomes.items()):
        typer.echo(f"{package:20} " + ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    for mutant in mutants:
        if mutant[name]["outcome"] != "killed":
            typer.echo(f"{mutant[name]['outcome']}: {_text(mutant)}")
    for mutant in lost(mutants, name):
        typer.echo(f"LOST: {_text(mutant)}")


def _text(mutant: Mutant) -> str:
    return f"{mutant['file']} {mutant['function']}\n  - {mutant['line']}\n  + {mutant['mutated']}"


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(file: Path, mutants: list[Mutant]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(mutants, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
