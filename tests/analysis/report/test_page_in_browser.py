"""The page as a reader meets it: opened in Chromium from disk, clicked, typed into and looked at on three screens."""

import csv
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from chromium import PROGRAM, browser
from pages import page_without_figures
from planted import PLANTED, SMALLEST_FLOPS, write_planted
from typer.testing import CliRunner

from analysis.cli import app
from analysis.report.findings import findings_of
from scaling.cost.hardware import STEP_SECONDS

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium here; Debian's package is chromium")

LARGEST = SMALLEST_FLOPS * 10**2.5
REFUSED = ["twelve", "", "-1e12", "1,5e12", "1e12 1e13", "1e99", "0", "NaN"]
MEASURED_HOURS = 1.5 * 1e13 * 1e-9 * STEP_SECONDS / 3600
PROBES = (Path(__file__).parent / "probes.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(full_report):
    """36 runs: three strategies, two pairs of models, six budgets; and a run that was forecast."""
    return full_report[0]


@pytest.fixture
def page(chromium, folder):
    """The page of `folder`, opened anew; it must raise no error and ask for nothing but itself."""
    address = (folder / "report.html").as_uri()
    chromium.open(address)
    chromium.run(PROBES)
    yield chromium
    assert not chromium.errors
    asked = {url.partition("#")[0] for url in chromium.requests} - {"about:blank"}
    assert not [url for url in asked if url != address and not url.startswith(("data:", "blob:"))]


def answer(*arguments):
    """What a verb prints with --json."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


def table(page, body):
    """The rows of a table by strategy: [models, cell, cell, ...]."""
    rows = page.run(
        f"[...document.getElementById({body!r}).rows].map(row => [...row.cells].map(cell => cell.innerText))"
    )
    named = (row[0].removesuffix(")").split(" (") + row[1:] for row in rows)
    return {strategy: rest for strategy, *rest in named}


def digits(value, count=3):
    return float(f"{value:.{count}g}")


def spread(text):
    """Both ends of an interval as the page writes it."""
    return [float(end) for end in text.split(" to ")]


@pytest.mark.parametrize("strategy", PLANTED)
def test_the_answers_are_those_of_predict_at_twenty_budgets(page, folder, strategy):
    for flops in np.geomspace(0.6 * SMALLEST_FLOPS, 9.9 * LARGEST, 20):
        typed = f"{flops:.4g}"
        page.type("#budget", typed)
        expected = answer("predict", folder, "--flops", typed, "--strategy", strategy)
        models, cer, new_run, reach, _ = table(page, "predictions")[strategy]
        assert models == f"{expected['encoder']} + {expected['llm']}"
        assert float(cer) == digits(expected["cer"])
        assert spread(new_run) == [digits(end) for end in expected["interval"]]
        times = expected["extrapolation"]
        assert reach == (f"{digits(times, 2):g} times the largest run" if times > 1.005 else reach)


def test_the_slider_asks_for_the_budget_that_it_shows(page, folder):
    slider = "document.getElementById('budget-slider')"
    page.run(f"{slider}.value = 777, {slider}.dispatchEvent(new Event('input'))")
    shown = page.run("document.getElementById('budget').value")
    expected = answer("predict", folder, "--flops", shown, "--strategy", "joint")
    assert float(table(page, "predictions")["joint"][1]) == digits(expected["cer"])


def test_far_beyond_the_runs_the_answer_is_a_range_and_no_number(page, folder):
    page.type("#budget", f"{40 * LARGEST:.3g}")
    _, cer, new_run, reach, _ = table(page, "predictions")["efin"]
    expected = answer("predict", folder, "--flops", f"{40 * LARGEST:.3g}", "--strategy", "efin")
    assert cer == "no number so far away"
    assert spread(new_run) == [digits(end, 2) for end in expected["interval"]]
    assert reach == "40 times the largest run"


def test_what_is_no_budget_is_refused_and_changes_nothing(page):
    page.type("#budget", "1e12")
    before = table(page, "predictions")
    for text in REFUSED:
        page.type("#budget", text)
        assert page.run("document.getElementById('budget').getAttribute('aria-invalid')") == "true", text
        assert text.strip() in page.text("#budget-refusal"), text
        assert table(page, "predictions") == before, text
        page.type("#budget", "1 × 10^12")
        assert page.text("#budget-refusal") == "", text
        assert table(page, "predictions") == before, text


@pytest.mark.parametrize("cer", [0.3, 0.1, 0.06])
def test_a_wanted_error_costs_what_recommend_says(page, folder, cer):
    page.type("#wanted", str(cer))
    page.choose("#device", "h100-sxm")
    expected = answer("recommend", folder, "--cer", cer, "--hardware", "h100-sxm")
    strategy, (models, flops, interval, _, _) = next(iter(table(page, "prices").items()))
    assert (strategy, models) == (expected["strategy"], f"{expected['encoder']} + {expected['llm']}")
    assert float(flops) == pytest.approx(expected["flops"], rel=6e-3)
    low, high = expected["flops_interval"]
    if high is None or high > 100 * LARGEST:
        assert float(interval.removeprefix("above ")) == pytest.approx(low, rel=2e-2)
    else:
        assert spread(interval) == pytest.approx([low, high], rel=2e-2)


def test_an_error_below_what_any_law_reaches_is_said(page):
    page.type("#wanted", "0.001")
    assert {row[1] for row in table(page, "prices").values()} == {"not reached with 100 times the largest run"}


def test_every_strategy_is_priced_by_its_own_steps_as_recommend_prices_it(page, folder):
    page.choose("#device", "h100-sxm")
    page.type("#budget", "1e13")
    for strategy, (*_, training) in table(page, "predictions").items():
        said = ("--flops", "1e13", "--strategy", strategy, "--hardware", "h100-sxm")
        cost = answer("recommend", folder, *said)["cost"]
        hours = {"efin": 3, "joint": 1, "frozen_encoder": 1}[strategy] * MEASURED_HOURS
        assert cost["device_hours"] == pytest.approx(hours, rel=1e-6)
        assert training == f"{digits(60 * hours):g} min, {2.5 * hours:.2f} USD"


def test_the_same_money_buys_fewer_flops_of_small_steps(page, folder):
    page.choose("#device", "h100-sxm")
    page.type("#price", "2.5")
    page.choose("#unit", "usd")
    assert "USD, at 2.5 an hour of h100-sxm" in page.text("#plot")
    page.type("#budget", "1")
    bought = {strategy: float(cells[-1].partition(" ")[0]) for strategy, cells in table(page, "predictions").items()}
    assert bought["joint"] == pytest.approx(3 * bought["efin"], rel=1e-2)
    best = answer("recommend", folder, "--usd", "1", "--hardware", "h100-sxm")
    assert bought[best["strategy"]] == digits(best["flops"])
    assert next(iter(table(page, "predictions"))) == best["strategy"]


def test_a_click_on_a_strategy_shows_it_alone_and_again_all(page):
    def shown():
        return set(table(page, "predictions"))

    page.click(".strategy:nth-child(2) button")
    assert shown() == {"joint"}
    page.click(".strategy:nth-child(2) button")
    assert shown() == set(PLANTED)
    page.click(".strategy:nth-child(1) input")
    assert shown() == set(PLANTED) - {"efin"}


def test_a_click_in_the_figure_asks_about_that_budget(page):
    page.run("document.getElementById('plot').scrollIntoView()")
    left, top, width, height = page.run("box('#plot svg')")
    before = page.run("document.getElementById('budget').value")
    page.click_at(left + 0.3 * width, top + 0.5 * height)
    asked = float(page.run("document.getElementById('budget').value"))
    assert SMALLEST_FLOPS < asked < float(before)


def test_the_pointer_over_a_point_and_over_a_law_names_it(page):
    page.run("document.getElementById('plot').scrollIntoView()")
    left, top, width, height = page.run("box('#plot .point path')")
    for place, words in (((left + width / 2, top + height / 2), "one run"), (page.run("onLaw()"), "90 % of new runs")):
        page.move_to(*place)
        page.wait("!document.querySelector('.tip').hidden")
        assert words in page.text(".tip")
        assert "CER" in page.text(".tip")


def test_the_address_keeps_what_was_chosen(page, folder):
    page.type("#budget", "7.25e12")
    page.type("#wanted", "0.09")
    page.choose("#unit", "hours")
    page.choose("#device", "a100-80g")
    page.choose("#upwards", "linear")
    page.choose("#models", "0")
    page.click(".strategy:nth-child(3) input")
    page.click("nav a[href='#laws']")
    page.wait("location.hash.startsWith('#laws&')")
    shown = ("#budget-slider", "#wanted", "#unit", "#device", "#upwards", "#models", "#price")
    values = f"{json.dumps(shown)}.map(id => document.querySelector(id).value)"
    before, answers, address = page.run(values), table(page, "predictions"), page.run("location.href")
    page.open(address)
    assert (page.run(values), table(page, "predictions")) == (before, answers)
    page.open((folder / "report.html").as_uri() + "#flops=nonsense&axis=parsecs&models=none&cer=-1")
    assert table(page, "predictions").keys() == set(PLANTED)


def test_a_linear_axis_begins_at_zero(page):
    page.choose("#across", "linear")
    page.choose("#upwards", "linear")
    assert page.run("zerosFromCorner()") == [0, 0]


def test_the_picture_and_its_numbers_can_be_taken_along(page):
    page.click("#save-csv")
    rows = list(csv.DictReader(io.StringIO(page.downloaded("planted.csv").decode())))
    measured = [row for row in rows if row["kind"] == "measured"]
    assert len(measured) == 18  # the pair of models that serves each strategy best
    assert {row["strategy"] for row in measured} == set(PLANTED)
    assert [float(row["cer"]) for row in rows if row["kind"] == "forecast run"] in ([], [0.07])
    page.click("#save-png")
    png = page.downloaded("planted.png")
    assert png.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", png[16:24])
    assert width == 2 * page.run("document.querySelector('#plot svg').clientWidth")
    assert height > 600


def test_the_runs_sort_and_can_be_taken_along(page):
    page.click("#runs th:nth-child(7) button")
    cers = page.run("[...document.querySelectorAll('#runs tbody tr')].map(row => Number(row.cells[6].dataset.value))")
    title = page.text("#runs th:nth-child(7)")
    assert cers == sorted(cers), title
    page.click("#runs details + button, #runs .wide + button")
    rows = list(csv.reader(io.StringIO(page.downloaded("planted-runs.csv").decode())))
    assert len(rows) == 37


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_is_cut_off_and_all_text_can_be_read(chromium, folder, width, dark):
    chromium.open((folder / "report.html").as_uri(), width, dark=dark)
    chromium.run(PROBES)
    assert chromium.run("document.documentElement.scrollWidth") <= width
    assert chromium.run("offScreen()") == []
    assert chromium.run("poorlyReadable()") == []


def test_a_law_asked_for_by_name_shows_its_calibrated_interval(chromium, tmp_path):
    study = write_planted(tmp_path / "s", noise=0.03, strategies=("efin",))
    answer("fit", study, "--law", "power")  # which lacks the floor of the planted laws, as its backtest finds
    (study / "report.html").write_text(page_without_figures(findings_of(study)), encoding="utf-8")
    chromium.open((study / "report.html").as_uri())
    for flops in ("3e11", "2e13", "1.5e14"):
        chromium.type("#budget", flops)
        for strategy, (_, cer, new_run, calibrated, *_) in table(chromium, "predictions").items():
            expected = answer("predict", study, "--flops", flops, "--strategy", strategy)
            assert float(cer) == pytest.approx(expected["cer"], rel=6e-3)
            assert spread(new_run) == pytest.approx(expected["interval"], rel=6e-3)
            assert spread(calibrated) == pytest.approx(expected["calibrated_interval"], rel=6e-3)
            assert expected["calibrated_interval"][1] > 1.02 * expected["interval"][1]
