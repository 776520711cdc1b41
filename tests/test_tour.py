"""The notebook of docs/: what it shows is what its cells give, and says nothing of the machine it was made on."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tour.ipynb"
# What a cell gives in words; pictures and HTML have times and versions in them.
WORDS = ("text/plain",)


def shown(notebook):
    """What the cells of a notebook give, as text."""
    found = []
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        # What a library says on standard error is its own.
        for output in (output for output in cell.outputs if output.get("name") != "stderr"):
            assert output.output_type != "error"
            data = output.get("data", {})
            found.append(output.get("text") or "\n".join(data[kind] for kind in WORDS if kind in data))
    return found


def test_it_has_been_executed_and_is_of_no_machine():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code)
    assert not re.search(r"/(home|root|tmp|Users|work)/", NOTEBOOK.read_text())
    html = ["".join(output.data.get("text/html", "")) for cell in code for output in cell.outputs if "data" in output]
    assert sum(map(bool, html)) == 4


@pytest.mark.ci
def test_its_cells_give_what_it_shows(tmp_path):
    from nbclient import NotebookClient

    kept = nbformat.read(NOTEBOOK, as_version=4)
    again = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(again, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert shown(again) == shown(kept)
    assert any(text.startswith("('mismatch', 'lockstep'") for text in shown(again))
