"""A forecast is written down before its run, once, and stays as it was written."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.curves.fits_file import curves_of
from analysis.curves.predict import predict
from analysis.registering.record import FORECASTS_FILE, read_registered
from analysis.registering.register import register
from scaling.errors import InputError

BUDGETS = tuple(np.geomspace(1e11, 1e13, 5).tolist())
BEYOND = 3.16e13

REGISTER = "import sys; from pathlib import Path; from analysis.registering.register import register\n"
REGISTER += "register(Path(sys.argv[1]), [float(text) for text in sys.argv[2:]])"


@pytest.fixture
def study(write_study: Callable[..., Path]) -> Path:
    return write_study(budgets=5, decades=2.0, strategies=("efin",), noise=0.03)


def rows_of(study: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (study / "runs.jsonl").read_text().splitlines()]


def write_rows(study: Path, rows: list[dict[str, Any]]) -> None:
    (study / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def in_a_process(study: Path, *flops: float, fault: str = "") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", REGISTER, str(study), *map(repr, flops)]
    return subprocess.Popen(command, env={**os.environ, "ASR_SCALING_DIES_AT_WRITE": fault}, stderr=subprocess.PIPE)


def test_every_curve_is_forecast_at_every_budget_as_predict_says(write_study: Callable[..., Path]) -> None:
    study = write_study(budgets=5, decades=2.0, strategies=("efin", "joint"))
    written = register(study, [BEYOND, 1e14])
    assert written == read_registered(study)
    assert [(one.strategy, one.flops) for one in written] == [
        (strategy, flops) for strategy in ("efin", "joint") for flops in (BEYOND, 1e14)
    ]
    curves = curves_of(study)
    for one in written:
        (curve,) = curves.of(one.strategy)
        said = predict(curve, one.flops)
        assert (one.cer, one.interval, one.curve_interval) == (said.cer, said.interval, said.curve_interval)
        assert (one.quantiles["0.05"], one.quantiles["0.95"]) == one.interval
        assert list(one.quantiles.values()) == sorted(one.quantiles.values())
        assert (one.runs, one.largest_budget_flops, one.law) == (20, pytest.approx(BUDGETS[-1]), "averaged")


def test_a_line_holds_what_somebody_needs_to_check_it(study: Path) -> None:
    register(study, [BEYOND])
    (line,) = (study / FORECASTS_FILE).read_text().splitlines()
    assert set(json.loads(line)) == {
        *("schema", "time", "digest", "runs", "largest_budget_flops", "strategy", "encoder", "llm", "flops", "cer"),
        *("level", "interval", "curve_interval", "quantiles", "extrapolation", "law", "loss", "status", "warnings"),
        "version",
    }


@pytest.mark.parametrize("asked", [BUDGETS[-1], 0.97 * BUDGETS[-1], 1.03 * BUDGETS[-1]])
def test_a_budget_that_the_curve_has_a_run_at_is_refused(study: Path, asked: float) -> None:
    with pytest.raises(InputError, match=r"runs.jsonl:9: efin .* has a run at 1e\+13 FLOPs already"):
        register(study, [BEYOND, asked])
    assert not (study / FORECASTS_FILE).exists()


def test_so_is_one_that_a_run_in_the_folder_of_forecast_runs_has_taken(study: Path) -> None:
    (study / "forecast").mkdir()
    write_rows(
        study / "forecast", [{**rows_of(study)[0], "key": "new", "budget_flops": BEYOND, "flops": 1.02 * BEYOND}]
    )
    with pytest.raises(InputError, match=r"forecast/runs.jsonl:1: efin .* has a run at 3.16e\+13 FLOPs already"):
        register(study, [BEYOND])


def test_the_same_is_registered_once_from_one_table_in_whatever_order_its_rows_stand(study: Path) -> None:
    register(study, [BEYOND])
    before = (study / FORECASTS_FILE).read_bytes()
    write_rows(study, rows_of(study)[::-1])
    with pytest.raises(InputError, match=r"efin .* at 3.16e\+13 FLOPs was registered from this table on 20"):
        register(study, [1e14, 1.01 * BEYOND])
    assert (study / FORECASTS_FILE).read_bytes() == before
    write_rows(study, rows_of(study)[1:])
    register(study, [BEYOND])
    assert (study / FORECASTS_FILE).read_bytes().startswith(before)
    first, second = read_registered(study)
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("budgets", "message"), [([BEYOND, 1.05 * BEYOND], "count as one budget"), ([BEYOND, BEYOND], "name it once")]
)
def test_a_budget_is_named_once(study: Path, budgets: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        register(study, budgets)


def test_what_could_not_be_scored_is_not_registered(write_study: Callable[..., Path]) -> None:
    def short(row: dict[str, Any]) -> dict[str, Any] | None:
        return row if row["strategy"] == "efin" or row["budget_flops"] < 2e11 else None

    study = write_study(budgets=5, decades=2.0, strategies=("efin", "joint"), change=short)
    with pytest.raises(InputError, match=r"joint .*: no interval \(status too_few_points\)"):
        register(study, [BEYOND])
    assert not (study / FORECASTS_FILE).exists()
    assert [one.strategy for one in register(study, [BEYOND], strategy="efin")] == ["efin"]


def test_a_name_that_no_curve_has_is_refused_with_the_nearest(study: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'efin'"):
        register(study, [BEYOND], strategy="efni")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda line: line[:60], r"forecasts.jsonl:2: not valid JSON"),
        (lambda line: line.replace('"cer": ', '"cer": -'), r"forecasts.jsonl:2: cer is -0.*expected a number above 0"),
        (lambda line: line.replace('"time": "20', '"time": "x'), r"forecasts.jsonl:2: time is 'x.*valid datetime"),
        (lambda line: line.replace('"flops"', '"flop"'), r"forecasts.jsonl:2: flops is missing"),
        (
            lambda line: line.replace('"interval": [', '"interval": [0.1], "was": ['),
            r"forecasts.jsonl:2: interval.1 is missing",
        ),
        (lambda line: line.replace("forecast-1", "forecast-9"), r"schema is 'asr-scaling/forecast-9'"),
    ],
    ids=["cut", "number", "time", "missing", "one end", "schema"],
)
def test_a_damaged_line_is_named_and_nothing_is_added(study: Path, damage: Callable[[str], str], message: str) -> None:
    register(study, [BEYOND])
    file = study / FORECASTS_FILE
    file.write_text(file.read_text() + damage(file.read_text()))
    before = file.read_bytes()
    with pytest.raises(InputError, match=message):
        register(study, [1e14])
    assert file.read_bytes() == before


def test_a_file_whose_last_line_has_no_end_goes_on_in_a_new_line(study: Path) -> None:
    register(study, [BEYOND])
    file = study / FORECASTS_FILE
    file.write_text(file.read_text().rstrip("\n"))
    register(study, [1e14])
    assert [one.flops for one in read_registered(study)] == [BEYOND, 1e14]


def faults() -> Iterator[str]:
    return (f"{number} {FORECASTS_FILE}" for number in count(1))


def test_a_process_that_dies_leaves_all_lines_or_none(study: Path) -> None:
    curves_of(study)
    asked, left = [BEYOND, 1e14, 3e14], []
    for fault in faults():
        (study / FORECASTS_FILE).unlink(missing_ok=True)
        process = in_a_process(study, *asked, fault=fault)
        process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        left.append(len(read_registered(study)))
    assert left == [0, 3]
    assert len(read_registered(study)) == 3


def test_of_two_processes_one_registers(study: Path) -> None:
    curves_of(study)
    processes = [in_a_process(study, BEYOND) for _ in range(2)]
    said = [process.communicate()[1].decode() for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    assert "a forecast is written down once" in "".join(said)
    assert len(read_registered(study)) == 1


def test_a_full_disk_leaves_the_file_as_it_was(study: Path) -> None:
    register(study, [BEYOND])
    before = (study / FORECASTS_FILE).read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(InputError, match="the disk is full; nothing was registered"):
            register(study, [1e14])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (study / FORECASTS_FILE).read_bytes() == before
