"""The notebook in docs/ runs, and says what it said when it was executed; what is published names no machine."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
PUBLISHED = (NOTEBOOK, *ROOT.glob("results/*/fits.json"), *ROOT.glob("results/*/report.html"))
MOST_BYTES = 200_000


def said(cell):
    """What a cell shows: results as text, and how many pictures. Progress on stderr is told on slow machines alone."""
    outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    return "".join(texts), pictures


def test_the_notebook_says_what_it_said_when_it_was_executed(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    written = nbformat.read(NOTEBOOK, as_version=4)
    again = nbclient.NotebookClient(
        nbformat.from_dict(written), timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    for cell, executed in zip(written.cells, again.cells, strict=True):
        assert said(executed) == said(cell), "make notebook"
    assert sum(said(cell)[1] for cell in again.cells) == 1
    assert all(said(cell)[0] for cell in again.cells if cell.cell_type == "code")


def test_the_notebook_is_small():
    assert NOTEBOOK.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("file", [pytest.param(file, id=str(file.relative_to(ROOT))) for file in PUBLISHED])
def test_what_is_published_names_no_folder_of_a_machine(file):
    text = file.read_text("utf-8")
    assert [folder for folder in ("/home/", "/root/", "/tmp/") if folder in text] == []
