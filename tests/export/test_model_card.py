"""The card beside an exported file."""

import json

import pytest
from omegaconf import OmegaConf

from gan.errors import UserError
from gan.inference import DigitGenerator

pytestmark = pytest.mark.slow


def test_the_card_without_measures(exported, checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = exported("unconditional")
    assert path == tmp_path / "export" / "generator.safetensors"
    front, text = split_card(path)
    assert front.keys().isdisjoint({"license", "datasets", "model-index"})
    assert "Not measured." in text
    assert "No licence has been named for the weights. The library mnist-gan is under the MIT license." in text
    assert "generator.generate(16, seed=0)" in text
    assert "(generator.png)" in text
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "The command that trained it is not known." in text


def test_a_file_of_any_name_is_linked_and_quoted(exported, tmp_path):
    path = exported("unconditional", f"""output='{tmp_path / 'my "digits" (1).safetensors'}'""")
    _, text = split_card(path)
    assert r'DigitGenerator.from_export("my \"digits\" (1).safetensors")' in text
    assert "](my%20%22digits%22%20%281%29.png)" in text


def test_the_card_carries_measures_and_the_command(exported, checkpoints, tmp_path, monkeypatch):
    ckpt = checkpoints["conditional"]
    overrides = ckpt.parent.parent / ".hydra" / "overrides.yaml"
    overrides.parent.mkdir()
    overrides.write_text("- model=conditional\n- logger=[csv,tensorboard]\n- logger.wandb.name=${model.x}\n")
    evaluation = {
        "checkpoints": ["/elsewhere/last.ckpt", str(ckpt)],
        "versions": ["0" * 12, DigitGenerator.open(ckpt).info()["version"]],
        "measures": {
            "other/last": {"test/fid_mnist": 9.0},
            "run/last": {"test/fid_mnist": 0.25, "test/fid_mnist_spread": 0.01, "test/real_mean": 0.13},
            "floor": {"test/fid_mnist": 0.06},
        },
        "data": "mnist",
        "split": "test",
        "labels": "real",
        "better": {"test/fid_mnist": "lower"},
        "num_samples": 10000,
        "repeats": 3,
        "seed": 0,
    }
    saved = tmp_path / "outputs" / "evaluate" / "now" / "metrics.json"
    saved.parent.mkdir(parents=True)
    saved.write_text(json.dumps(evaluation))
    monkeypatch.chdir(tmp_path)
    front, text = split_card(exported("conditional"))
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "fid_mnist", "name": "test/fid_mnist", "value": 0.25}]
    args = {name: evaluation[name] for name in ("num_samples", "repeats", "seed", "labels")}
    assert result["dataset"] == {"name": "mnist", "type": "ylecun/mnist", "split": "test", "args": args}
    assert "| test/fid_mnist ↓ | 0.25 ± 0.01 | 0.06 |" in text
    assert "gan train model=conditional 'logger=[csv,tensorboard]' 'logger.wandb.name=${model.x}'" in text
    assert "latent_dim: 8" in text
    explicit, text = split_card(exported("conditional", "overwrite=true", f"measures='{saved}'", "license=cc0-1.0"))
    assert explicit == {**front, "license": "cc0-1.0"}
    assert "The weights are under cc0-1.0." in text

    with pytest.raises(UserError, match=r"metrics.json: it measures .*conditional.*, not .*unconditional"):
        exported("unconditional", "overwrite=true", f"measures='{saved}'")
    copied = {"checkpoints": [str(ckpt), "/elsewhere/copy.ckpt"], "versions": evaluation["versions"][1:] * 2}
    saved.write_text(json.dumps(evaluation | copied))
    own, _ = split_card(exported("conditional", "overwrite=true"))  # the first column, not that of the copy
    assert own["model-index"][0]["results"][0]["metrics"][0]["value"] == 9.0
    saved.write_text(
        json.dumps({**evaluation, "versions": ["0" * 12, "1" * 12]})
    )  # of other weights in a file of this name
    stale, _ = split_card(exported("conditional", "overwrite=true"))
    assert "model-index" not in stale
    with pytest.raises(UserError, match=r"metrics.json: it measures .*, not .* with the weights that it has now$"):
        exported("conditional", "overwrite=true", f"measures='{saved}'")


def split_card(path):
    _, front, text = path.with_suffix(".md").read_text().split("---\n", 2)
    return OmegaConf.to_container(OmegaConf.create(front)), text
