"""A page and a picture of any table: CSV, JSON lines, Parquet, stored fits."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.curves.fits_file import new_fits
from analysis.report.figures.picture import draw_picture
from analysis.tables.choice import EVERYTHING

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
FLOPS = np.geomspace(1e17, 1e20, 6).tolist()
ROWS = [
    {"recipe": recipe, "Compute": flops, "WER": scale * (0.04 + 0.3 * (flops / 1e17) ** -0.3)}
    for recipe, scale in (("zephyr", 1.0), ("quartz", 1.3))
    for flops in FLOPS
]


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join([",".join(ROWS[0]), *(",".join(map(str, row.values())) for row in ROWS)])
    Path("runs.csv").write_text(text + "\n")
    return Path("runs.csv")


@pytest.mark.parametrize("suffix", MAGIC)
def test_fit_draws_one_figure_of_the_kind_that_its_suffix_names(suffix, table, asr_scaling):
    found = asr_scaling("fit", table, "--plot", f"law{suffix}")
    assert found.returncode == 0, found.stderr
    assert Path(f"law{suffix}").read_bytes().startswith(MAGIC[suffix])
    assert sorted(file.name for file in Path.cwd().iterdir()) == sorted([f"law{suffix}", "runs.csv"])


def test_the_figure_names_curves_axes_and_the_error_of_the_table(table, asr_scaling):
    assert asr_scaling("fit", table, "--plot", "law.svg").returncode == 0
    drawn = Path("law.svg").read_text("utf-8")
    for text in ("zephyr", "quartz", "training FLOPs", "WER", "10\u00b9\u2077", "10\u00b2\u00b9"):
        assert f">{text}<" in drawn, text


@pytest.mark.parametrize(
    ("file", "message"), [("law.pgn", "did you mean '.png'"), ("there/law.png", "there is no folder there")]
)
def test_a_figure_that_cannot_be_written_is_refused_before_laws_are_fitted(file, message, table, asr_scaling):
    found = asr_scaling("fit", table, "--plot", file, "--out", "kept")
    assert found.returncode == 2
    assert message in found.stderr
    assert not Path("kept").exists()


def test_of_laws_in_other_columns_the_figure_is_what_was_measured_against_what_they_say(tmp_path, asr_scaling):
    lines = [f"{n!r},{d!r},{1.8 + 480 * n**-0.35 + 2085 * d**-0.37!r}" for n in (1e8, 1e9) for d in (1e9, 1e10, 1e11)]
    file = tmp_path / "sizes.csv"
    file.write_text("\n".join(["params,tokens,loss", *lines]) + "\n")
    found = asr_scaling("fit", file, "--law", "chinchilla", "--plot", tmp_path / "law.png")
    assert found.returncode == 0, found.stderr
    assert "chinchilla" in found.stdout
    assert f"{tmp_path / 'law.png'}: the picture is written" in found.stderr
    assert (tmp_path / "law.png").read_bytes().startswith(b"\x89PNG")
    fits = new_fits(file, EVERYTHING, "chinchilla")
    ax = Figure().subplots()
    draw_picture(fits, ax)
    (points, diagonal), fit = ax.get_lines(), fits.curves.curves[0].fit
    assert points.get_ydata().tolist() == fit.y.tolist()
    assert points.get_xdata().tolist() == fit.predict(fit.columns).tolist()
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert ax.get_ylabel() == "loss, measured"


@pytest.mark.parametrize(
    "kind",
    # Three seconds each; tests/analysis/tables reads tables of every kind.
    ["csv", "fits", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("jsonl", "parquet"))],
)
def test_a_report_is_made_of_every_kind_of_table(kind, table, asr_scaling):
    if kind == "jsonl":
        Path("runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas").DataFrame(ROWS).to_parquet("runs.parquet")
    if kind == "fits":
        asr_scaling("fit", table, "--out", "runs.fits")
    found = asr_scaling("report", f"runs.{kind}", "--json")
    assert found.returncode == 0, found.stderr
    written = json.loads(found.stdout)
    assert written["report"] == "runs-report/report.html"
    page = Path(written["report"]).read_text("utf-8")
    assert "zephyr" in page
    assert "quartz" in page
    assert "runs-report/figures/cer_by_flops.svg" in written["figures"]
    assert all(Path(figure).is_file() for figure in written["figures"])


def test_a_report_never_takes_the_place_of_a_file(table, asr_scaling):
    found = asr_scaling("report", table, "--out", table)
    assert found.returncode == 2
    assert "a file; expected a folder" in found.stderr
    assert table.read_text().startswith("recipe,")


def test_a_report_of_chosen_curves_shows_no_others(table, asr_scaling):
    assert asr_scaling("report", table, "--out", "page", "--strategy", "zephyr").returncode == 0
    page = Path("page/report.html").read_text("utf-8")
    assert "zephyr" in page
    assert "quartz" not in page
