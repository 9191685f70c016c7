"""The notebook in docs/ runs, and says what it said when it was executed."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"
MOST_BYTES = 200_000


def said(cell):
    """What a cell shows: printed text, results as text, and which kinds of pictures."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
    pictures = sum("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
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


def test_the_notebook_is_small_and_names_no_machine():
    text = NOTEBOOK.read_text("utf-8")
    assert len(text) < MOST_BYTES
    assert "/home/" not in text
    assert "/root/" not in text
