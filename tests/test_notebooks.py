"""The notebook, as it is committed and as it runs on settings of seconds."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tiny_runs import TINY

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "quickstart.ipynb"
NARROW = ("model.latent_dim=8", "model.generator.channels=[16,16,8]", "model.discriminator.channels=[8,8,8,8]")


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_committed_without_outputs(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.process
def test_every_cell_runs(notebook, tmp_path, monkeypatch, python):
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    settings = {"NUM_SAMPLES": 100, "OVERRIDES": [*TINY, *NARROW], "FOLDER": str(tmp_path)}
    parameters.source += "".join(f"\n{name} = {value!r}" for name, value in settings.items())

    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()

    outputs = {cell.id: cell.get("outputs", []) for cell in notebook.cells}
    assert not any(output.output_type == "error" for found in outputs.values() for output in found)
    pictured = {
        name for name, found in outputs.items() if any("image/png" in output.get("data", {}) for output in found)
    }
    assert pictured == {
        *("data", "progress", "samples", "beside-real", "between-seeds", "between-digits", "sweep"),
        *("pretrained", "map", "directions"),
    }
    assert "| floor |" in outputs["evaluation"][-1].data["text/markdown"]
