"""Which tests execute which line: one run of the suite under coverage, worker processes included.

What runs while a test runs is recorded under the test's id. What a fixture of a module or of the session runs is
recorded under the fixture's name, and belongs to every test that uses the fixture, not only to the first one.
"""

import json
import os
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import coverage
import pytest
from coverage.numbits import numbits_to_nums

CONTEXT = "MUTATION_CONTEXT"
"""The variable by which a process that a test starts learns under which name it is recorded."""

SETTINGS = f"""[run]
source = {{packages}}
data_file = {{folder}}/coverage
context = ${{{{{CONTEXT}-}}}}
core = ctrace
parallel = true
patch = fork, _exit
disable_warnings = no-data-collected
"""


class Recorder:
    """A plugin of pytest that names what is running, and keeps which tests passed, their seconds and fixtures."""

    def __init__(self, measured: coverage.Coverage) -> None:
        """Record into `measured`, which has been started."""
        self.measured = measured
        self.context = ""
        self.seconds: dict[str, float] = defaultdict(float)
        self.fixtures: dict[str, list[str]] = {}
        self.not_passed: set[str] = set()

    def _enter(self, context: str) -> None:
        self.context = os.environ[CONTEXT] = context
        self.measured.switch_context(context)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self.fixtures[item.nodeid] = list(getattr(item, "fixturenames", ()))
        self._enter(item.nodeid)
        try:
            return (yield)
        finally:
            self._enter("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        outside = self.context
        if fixturedef.scope != "function":
            self._enter(fixturedef.argname)
        try:
            return (yield)
        finally:
            self._enter(outside)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.outcome != "passed":
            self.not_passed.add(report.nodeid)


def record(folder: Path) -> None:
    """Run the suite of the current folder, and write `folder`/coverage and `folder`/tests.json."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "coveragerc"
    packages = ", ".join(str(Path.cwd() / name) for name in ("scaling", "sweeps", "analysis"))
    settings.write_text(SETTINGS.format(packages=packages, folder=folder))
    measured = coverage.Coverage(config_file=str(settings))
    os.environ["COVERAGE_PROCESS_START"] = str(settings)
    recorder = Recorder(measured)
    measured.start()
    left_behind = ["-W", "default::pytest.PytestUnraisableExceptionWarning"]  # by a test that fails, maybe at the end
    ended = pytest.main([*left_behind, "-p", "no:cacheprovider", "--hypothesis-seed=0"], plugins=[recorder])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"the suite did not run to its end: {ended!r}")
    measured.stop()
    measured.save()
    whole = coverage.Coverage(config_file=str(settings), data_suffix=False)
    whole.combine()
    whole.save()
    passed = {
        test: {"seconds": round(seconds, 3), "fixtures": recorder.fixtures[test]}
        for test, seconds in recorder.seconds.items()
        if test not in recorder.not_passed
    }
    (folder / "tests.json").write_text(json.dumps(passed))


class CoverageMap:
    """What `record` wrote in a folder."""

    def __init__(self, folder: Path) -> None:
        """Read `folder`/tests.json; coverage is looked up when it is asked for."""
        self.tests: dict[str, dict[str, Any]] = json.loads((folder / "tests.json").read_text())
        self._database = sqlite3.connect(folder / "coverage")
        self._users: dict[str, list[str]] = defaultdict(list)
        for test, known in self.tests.items():
            for fixture in known["fixtures"]:
                self._users[fixture].append(test)

    def lines(self, file: str) -> dict[int, set[str]]:
        """Of a file, by its path in the tree: the tests that passed and executed each line."""
        rows = self._database.execute(
            "select context.context, line_bits.numbits from line_bits"
            " join context on context.id = line_bits.context_id join file on file.id = line_bits.file_id"
            " where file.path like ?",
            (f"%/{file}",),
        )
        found: dict[int, set[str]] = defaultdict(set)
        for context, bits in rows:
            for line in numbits_to_nums(bits):
                found[line].update(self._tests_of(context))
        return found

    def quickest_first(self, tests: Iterable[str]) -> list[str]:
        """Tests in the order of the seconds they took."""
        return sorted(tests, key=lambda test: (self.tests[test]["seconds"], test))

    def _tests_of(self, context: str) -> list[str]:
        return [context] if context in self.tests else self._users.get(context, [])


if __name__ == "__main__":
    record(Path(sys.argv[1]))
