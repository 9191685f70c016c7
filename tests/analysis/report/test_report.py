"""The page says what the commands say, says where the runs do not, and nothing in the data can break it."""

import base64
import hashlib
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import page_with_vector_figures, page_without_figures
from planted import PLANTED, SMALLEST_FLOPS, planted_cer, recorded, write_planted

from analysis.comparing.compare import compare_all
from analysis.comparing.equal_hours import results_at_equal_hours
from analysis.curves.fits_file import curves_of
from analysis.curves.predict import predict
from analysis.formatting import NARROW_SPACE, between, percent
from analysis.recommending.best_for_budget import recommend_for_flops
from analysis.registering.register import register
from analysis.report.findings import findings_of
from analysis.report.page.runs import facts, run_table
from analysis.report.report import write_report
from analysis.tables.table import read_table
from scaling.errors import InputError

LARGEST = SMALLEST_FLOPS * 10**2.5
HOSTILE = "<script>alert(1)</script>"
BREAKING = '</script><img src=x onerror="alert(1)">'


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, script texts, and the text between."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.words, self._inside = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside is None:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))

    @property
    def data(self):
        """The JSON that the figure is drawn from."""
        return json.loads(self.scripts[0])


@pytest.fixture
def report_of(write_study):
    """The parsed page of a planted study, without its figures."""

    def report(**study):
        return Page(page_without_figures(findings_of(write_study(**study))))

    return report


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A planted study with noise and its page without figures, for all tests that only read them."""
    folder = write_planted(tmp_path_factory.mktemp("noisy"), noise=0.03)
    return folder, Page(page_without_figures(findings_of(folder)))


@pytest.fixture(scope="module")
def plain_page(tmp_path_factory):
    """The page of one strategy, as it is written."""
    folder = write_planted(tmp_path_factory.mktemp("plain"), strategies=("efin",))
    return Page(write_report(folder).path.read_text(encoding="utf-8"))


def test_the_command_writes_a_page_below_1_MB_and_says_where(full_report):
    folder, written = full_report
    assert len(read_table(folder).rows) == 36
    assert written["report"] == str(folder / "report.html")
    assert (folder / "report.html").stat().st_size < 1_000_000
    names = ("cer_by_flops", "cer_by_model_size", "cer_by_unique_hours", "residuals")
    figures = [folder / "figures" / f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")]
    assert written["figures"] == [str(figure) for figure in figures]
    assert sorted(figures) == sorted((folder / "figures").iterdir())


def test_the_command_says_in_a_pipe_what_takes_it_long_and_prints_one_document(written_report):
    folder, result = written_report
    json.loads(result.stdout)
    for said in (f"fitting laws to {folder} ...", "comparing 3 strategies ...", f"drawing {folder}/figures ..."):
        assert said in result.stderr


def test_the_answer_is_that_of_recommend_with_its_interval_and_reach(noisy):
    folder, page = noisy
    advice = recommend_for_flops(curves_of(folder), read_table(folder), LARGEST)
    low, high = advice.prediction.interval
    sentence = (
        f"train efin with mini-s and mini-m: predicted CER {advice.prediction.cer:.3g}, "
        f"and for nine new runs in ten {low:.3g} to {high:.3g}."
    )
    assert sentence in page.text
    assert f"The budget is {LARGEST:.3g}".replace("e+", "e") + " FLOPs, within the runs" in page.text


def test_strategies_are_compared_as_compare_does(noisy):
    folder, page = noisy
    compared = compare_all(curves_of(folder), "joint", table=read_table(folder))
    assert {one.curve.strategy for one in compared} == {"efin", "frozen_encoder"}
    for one in compared:
        interval = between(one.cer_reduction_interval, as_percent=True, typeset=True)
        shown = f"{percent(one.cer_reduction, typeset=True)} [{interval}]"
        assert shown.replace(NARROW_SPACE, " ") in page.text


def test_the_slider_answers_as_predict_does(noisy):
    folder, page = noisy
    curves = curves_of(folder)
    for trace in page.data["traces"]:
        curve = curves.only(page.data["strategies"][trace["strategy"]])
        assert trace["largest_flops"] == pytest.approx(LARGEST)
        for flops, cer, curve_low, curve_high, run_low, run_high, *_, expected_error in trace["law"][::10]:
            expected = predict(curve, flops)
            assert cer == pytest.approx(expected.cer, rel=1e-5)
            assert (curve_low, curve_high) == pytest.approx(expected.curve_interval, rel=1e-5)
            assert (run_low, run_high) == pytest.approx(expected.interval, rel=1e-5)
            assert expected_error == pytest.approx(curve.expected_error(flops), rel=1e-5)
        assert trace["law"][0][0] <= SMALLEST_FLOPS / 2
        assert trace["law"][-1][0] >= 99.9 * LARGEST
        assert trace["drawn_to"] == pytest.approx(10 * LARGEST)


@pytest.mark.parametrize(("truth", "verdict"), [(None, "inside"), (0.5, "outside")])
def test_a_forecast_is_shown_beside_its_truth_whatever_that_is(write_study, truth, verdict):
    folder = write_study(noise=0.03, strategies=("efin",))
    flops = 3 * LARGEST
    (folder / "forecast").mkdir()
    run = {"encoder": "mini-s", "llm": "mini-m", "flops": flops, "cer": truth or planted_cer("efin", flops)}
    rows = [{**run, "strategy": "efin"}, {**run, "strategy": "never fitted"}]
    (folder / "forecast" / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = Page(page_without_figures(findings_of(folder)))
    predicted = predict(curves_of(folder).only("efin"), flops)
    low, high = predicted.interval
    row = f"3 times the largest run {predicted.cer:.3g} {low:.3g} to {high:.3g} {run['cer']:.3g} {verdict}"
    assert row in page.text
    assert f"{int(verdict == 'inside')} of 1 came out inside their 90 % interval" in page.text
    assert f"no prediction {run['cer']:.3g} no interval" in page.text
    (mark,) = page.data["forecasts"]
    assert (mark["flops"], mark["truth"]) == (pytest.approx(flops), pytest.approx(run["cer"], rel=1e-3))


def test_forecasts_written_down_before_are_shown_whether_they_wait_or_came_out(write_study):
    folder = write_study(budgets=4, strategies=("efin",), noise=0.03)
    (said,) = register(folder, [3 * LARGEST])
    page = Page(page_without_figures(findings_of(folder)))
    assert f"{said.cer:.3g} {said.interval[0]:.3g} to {said.interval[1]:.3g} 0 waits for its run" in page.text
    assert "1 of 1 forecasts wait for their runs." in page.text
    (mark,) = page.data["forecasts"]
    assert (mark["truth"], mark["predicted"]) == (None, pytest.approx(said.cer, rel=1e-3))
    rows = (folder / "runs.jsonl").read_text()
    run = {**json.loads(rows.splitlines()[-1]), "key": "new", "budget_flops": 3 * LARGEST, "flops": 3 * LARGEST}
    (folder / "runs.jsonl").write_text(rows + json.dumps({**run, "cer": said.cer, "finished": 4e9}) + "\n")
    page = Page(page_without_figures(findings_of(folder)))
    assert "Of 1 budgets forecast and run, 1 came out inside the interval that was said" in page.text
    assert "1 of 1 came out inside their 90 % interval" in page.text
    assert f"{said.cer:.3g} 1 inside" in page.text
    assert page.data["forecasts"][0]["truth"] == pytest.approx(said.cer, rel=1e-3)


def test_a_table_that_names_no_strategy_is_told_of_as_runs(report_of):
    def nameless(row):
        return {name: value for name, value in row.items() if name not in ("strategy", "encoder", "llm", "stages")}

    page = report_of(budgets=5, strategies=("efin",), seeds=1, change=nameless)
    (title,) = [text for text in page.words if "reach CER" in text and "·" in text]
    assert title.strip().startswith("These runs reach CER 0.")
    assert "At the largest budget that was run: predicted CER" in page.text


def test_names_in_the_data_are_text_everywhere(write_study):
    names = dict(zip(PLANTED, (HOSTILE, BREAKING, "{{7*7}} & co"), strict=True))

    def renamed(row):
        row = recorded(row)
        stages = [{**stage, "name": HOSTILE, "trains": {BREAKING: 1e-3}} for stage in row["stages"]]
        return {
            **row,
            "study": HOSTILE,
            "strategy": names[row["strategy"]],
            "llm": BREAKING,
            "key": f"{BREAKING}-{row['key']}",
            "stages": stages,
            "provenance": {HOSTILE: BREAKING},
            **({} if row["seed"] == 0 else {"status": "diverged", "cer": None, "cause": HOSTILE}),
        }

    page = Page(page_with_vector_figures(findings_of(write_study(budgets=4, change=renamed))))
    assert [attributes.get("id") for tag, attributes in page.elements if tag == "script"] == ["study", None]
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert sorted(page.data["strategies"]) == sorted(names.values())
    for name in names.values():
        assert name in page.text


def test_only_the_page_s_own_script_may_run_and_nothing_is_asked_of_the_network(plain_page):
    page = plain_page
    (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    for _, attributes in page.elements:
        assert not {"src", "srcset", "action", "data"} & set(attributes)
        assert all(value.startswith("#") for name, value in attributes.items() if name in ("href", "xlink:href"))
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {attributes["href"][1:] for tag, attributes in page.elements if tag == "a"} <= targets


def test_without_scripts_the_papers_figures_stand_in_the_page(plain_page):
    page = plain_page
    labels = [attributes.get("aria-label", "") for tag, attributes in page.elements if tag == "svg"]
    assert "CER against charged FLOPs, by strategy and models" in labels
    for _, attributes in page.elements:
        if "data-needs-script" in attributes:
            assert "hidden" in attributes


def test_the_same_runs_give_the_same_page(write_study):
    folder = write_study(budgets=4, seeds=1, strategies=("efin",), noise=0.03)
    written = write_report(folder)
    first = written.path.read_bytes()
    private = folder / "private"
    private.write_text("words")
    for path in (written.path, *written.figures):
        path.unlink()
        path.symlink_to(private)
    assert write_report(folder).path.read_bytes() == first
    assert private.read_text() == "words"
    shutil.rmtree(folder / "figures")
    (folder / "figures").symlink_to(folder / "stages")
    with pytest.raises(InputError, match="figures: is a symbolic link; expected a folder"):
        write_report(folder)


@pytest.mark.parametrize(("budgets", "drawn_to"), [(1, None), (3, LARGEST)])
def test_too_few_budgets_are_said_and_not_drawn_beyond(report_of, budgets, drawn_to):
    page = report_of(budgets=budgets, strategies=("efin",))
    assert page.data["traces"][0]["drawn_to"] == (drawn_to and pytest.approx(drawn_to))
    assert "its budgets are too few to show how the error falls" in page.text
    if budgets == 1:
        assert "These runs do not yet say how the error falls: too few budgets." in page.text


def test_an_error_that_does_not_fall_gets_no_line_and_no_advice(report_of):
    def rising(row):
        return {**row, "cer": 0.2 * (row["flops"] / 1e11) ** 0.1}

    page = report_of(strategies=("efin",), change=rising)
    assert page.data["traces"][0]["drawn_to"] is None
    assert (
        "These runs do not yet say how the error falls: not determined. The lowest error measured is CER 0.2"
        in page.text
    )


def test_runs_that_failed_are_listed_with_their_cause_but_are_no_points(report_of):
    def failing(row):
        last = row["flops"] == pytest.approx(LARGEST) and row["seed"] == 1
        return {**row, "status": "diverged", "cer": None, "cause": "loss is nan"} if last else row

    page = report_of(strategies=("efin",), change=failing)
    assert "loss is nan" in page.text
    assert [point["runs"] for point in page.data["traces"][0]["points"]] == [2] * 7 + [1]


def test_simulated_runs_never_pass_for_measurements(report_of):
    notice, simulated = "Nothing was trained.", {"provenance": {"simulated": True}}
    assert notice in report_of(budgets=4, strategies=("efin",), change=lambda row: {**row, **simulated}).text
    assert notice not in report_of(budgets=4, strategies=("efin",), change=recorded).text


def test_strategies_are_compared_at_the_hours_that_all_have_heard(write_study):
    def heard(row):
        """`efin` hears twice as much for its FLOPs; errors follow a power law in hours."""
        hours = row["flops"] / 1e11 * {"efin": 2.0, "joint": 1.0}[row["strategy"]]
        cer = {"efin": 0.4, "joint": 0.5}[row["strategy"]] * hours**-0.3
        return {**row, "cer": cer, "unique_audio_seconds": 3600.0 * hours, "epochs": 0.0 if hours < 3.0 else 2.0}

    findings = findings_of(write_study(strategies=("efin", "joint"), change=heard))
    first, second = results_at_equal_hours(findings.traces)
    most = 10**2.5
    assert (first.hours, second.hours) == (pytest.approx(most), pytest.approx(most))
    assert (first.trace.curve.strategy, first.cer) == ("efin", pytest.approx(0.4 * most**-0.3))
    assert (second.trace.curve.strategy, second.cer) == ("joint", pytest.approx(0.5 * most**-0.3))
    assert second.flops / first.flops == pytest.approx(2.0)
    assert first.passes == pytest.approx(2.0)


def test_runs_that_all_heard_the_same_audio_get_a_sentence_for_a_figure(write_study):
    change = {"unique_audio_seconds": 7200.0}
    folder = write_study(budgets=4, strategies=("efin",), change=lambda row: {**row, **change})
    page = Page(write_report(folder).path.read_text(encoding="utf-8"))
    assert "Every run heard the same 2 hours" in page.text
    assert "Figure 4" not in page.text


def test_a_missing_matplotlib_is_named_before_anything_is_written(write_study, monkeypatch):
    folder = write_study(strategies=("efin",))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for module in [name for name in sys.modules if name.startswith("analysis.report.figures")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(InputError, match=r"asr-scaling\[plot\]"):
        write_report(folder)
    assert [file.name for file in folder.iterdir()] == ["runs.jsonl"]


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"runs\.jsonl: not found"):
        write_report(tmp_path)
    with pytest.raises(InputError, match=r"table\.csv: not found"):
        write_report(tmp_path / "table.csv")


def test_the_table_of_runs_says_which_run_does_not_hear_yet():
    told = {"hears": False, "hearing_nats": 0.0123, "hearing_low": 0.01, "hearing_high": 0.02}
    table = run_table([told, {"hears": True, "hearing_onset_flops": 2e10}, {}])
    columns = {column.field: column for column in table.columns}
    assert [columns["hears"].value(row) for row in table.rows] == ["no", "yes", ""]
    assert columns["hearing_nats"].value(told) == 0.0123
    assert [columns["hearing_onset_flops"].value(row) for row in table.rows] == [None, 2e10, None]
    assert "hears" not in {column.field for column in run_table([{"hears": None}]).columns}


def test_a_run_that_was_set_aside_is_in_no_point_of_the_figure(tmp_path):
    def diverge(row):
        failed = row["strategy"] == "efin" and row["seed"] == 0 and row["budget_flops"] < 2.0 * SMALLEST_FLOPS
        return {**row, "cer": 1.1} if failed else row

    folder = write_planted(tmp_path / "s", noise=0.03, strategies=("efin", "joint"), change=diverge)
    (trace,) = findings_of(folder).of("efin")
    assert trace.points[0].mean.runs == 1
    assert trace.points[0].mean.cer == pytest.approx(planted_cer("efin", SMALLEST_FLOPS), rel=0.2)


def test_what_runs_share_is_said_once_where_numbers_come_from():
    said = dict(facts(findings_of(Path(__file__).parents[3] / "results" / "quickstart")))
    assert said["Training audio"] == "1.5 hours"
    assert said["Precision"] == "fp32"
    assert said["Test set"].startswith("600 utterances, 3001 characters, scored as plain, digest ")
    assert said["FLOP convention"] == "charged-v1"
