"""The notebooks, as they are committed and as they run on settings of seconds."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tiny_runs import TINY

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NARROW = ("model.latent_dim=8", "model.generator.channels=[16,16,8]", "model.discriminator.channels=[8,8,8,8]")


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.fixture
def run(tmp_path, monkeypatch, python):
    """A function that runs a notebook: by the id of each cell, what it shows."""
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    def outputs(name, overrides):
        notebook = read(name)
        (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
        settings = {"NUM_SAMPLES": 100, "OVERRIDES": [*TINY, *overrides], "FOLDER": str(tmp_path)}
        parameters.source += "".join(f"\n{name} = {value!r}" for name, value in settings.items())
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
        shown = {cell.id: cell.get("outputs", []) for cell in notebook.cells}
        assert not any(output.output_type == "error" for found in shown.values() for output in found)
        return shown

    return outputs


def pictured(outputs):
    """The ids of the cells that show a picture."""
    return {name for name, found in outputs.items() if any("image/png" in output.get("data", {}) for output in found)}


@pytest.mark.parametrize("name", ["quickstart", "own_parts"])
def test_it_is_committed_without_outputs(name):
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.process
def test_every_cell_of_the_quickstart_runs(run):
    outputs = run("quickstart", NARROW)
    assert pictured(outputs) == {
        *("data", "progress", "samples", "beside-real", "between-seeds", "between-digits", "sweep"),
        *("pretrained", "map", "directions"),
    }
    assert "| floor |" in outputs["evaluation"][-1].data["text/markdown"]


@pytest.mark.process
def test_ten_cells_show_a_loss_and_a_network_of_ones_own(run):
    assert len(read("own_parts").cells) == 10
    outputs = run("own_parts", ("model.latent_dim=8", "model.discriminator.channels=[8,8,8,8]", "~callbacks.plots"))
    assert pictured(outputs) == {"compare"}
    assert "| own loss | own network | floor |" in outputs["compare"][-1].data["text/markdown"]
