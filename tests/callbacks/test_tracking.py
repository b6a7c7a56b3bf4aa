"""What a run leaves in W&B at its end: a table of samples, and its best checkpoint."""

import json

import pytest
from offline_runs import offline_runs, tracked

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def wandb():
    return pytest.importorskip("wandb")


def test_a_conditional_run_has_a_table_of_its_classes_and_its_best_checkpoint(shared):
    folder, run = tracked(shared, "conditional")
    assert [images for images, _ in run.curve("recognized_samples")] == [128]
    table = run.table("recognized_samples")
    assert table["columns"] == ["class", "recognized", "confidence", "image"]
    assert [row[0] for row in table["data"]] == [digit for digit in range(10) for _ in range(10)]
    assert all(row[1] in range(10) and 0.1 <= row[2] <= 1 for row in table["data"])
    assert {row[3]["_type"] for row in table["data"]} == {"image-file"}

    artifact = run.artifacts[f"model-{run.run.run_id}"]
    best = json.loads((folder / "checkpoints" / "best.json").read_text())
    assert (set(artifact.aliases), json.loads(artifact.metadata)) == ({"latest", "best"}, best)
    assert [content.path for content in artifact.manifest.contents] == ["best.ckpt"]


def test_an_unconditional_run_has_a_table_of_what_is_read_and_other_pictures_none(run, shared, tmp_path):
    _, digits = tracked(shared, "unconditional")
    assert digits.table("recognized_samples")["columns"] == ["recognized", "confidence", "image"]
    assert f"model-{digits.run.run_id}" not in digits.artifacts, "nobody asked for it"
    run("logger=wandb", "data.source._target_=my_gan.Stripes", folder="stripes")
    assert not offline_runs(tmp_path / "stripes")[0].curve("recognized_samples")
