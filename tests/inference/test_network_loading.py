"""Reading a generator from a checkpoint that may be damaged or hostile."""

import logging
import math
import os
import pickle
import shutil

import pytest
import torch
from tiny_generators import save_checkpoint

from gan import checkpoint_files
from gan.config import compose
from gan.errors import UserError
from gan.export import export
from gan.inference import DigitGenerator


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def altered(path, weights=lambda weights: weights, **changes):
    """The file again with other weights, and other values in its hyperparameters; None leaves a value out."""
    saved = torch.load(path, weights_only=True)
    options = {**saved["hyper_parameters"], **changes}
    saved["hyper_parameters"] = {name: value for name, value in options.items() if value is not None}
    saved["state_dict"] = weights(saved["state_dict"])
    torch.save(saved, path)


def named_by_a_number(weights):
    return {**weights, 1: torch.zeros(1)}


def diverged(weights):
    return {name: value * math.nan for name, value in weights.items()}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path, trap: path.write_bytes(path.read_bytes()[:5000]), "not a readable checkpoint"),
        (lambda path, trap: path.write_bytes(b""), "not a readable checkpoint"),
        (lambda path, trap: path.write_text("not a checkpoint at all"), "refused, not a checkpoint"),
        (lambda path, trap: path.write_text("hello"), "not a readable checkpoint"),
        (lambda path, trap: torch.save({"weights": Hostile(trap)}, path), "refused, .* holds more than weights"),
        (lambda path, trap: path.write_bytes(pickle.dumps(Hostile(trap))), "refused, .* holds more than weights"),
        (lambda path, trap: torch.save({"state_dict": {}, "epoch": 3}, path), "not a checkpoint of this project"),
        (lambda path, trap: torch.save([1, 2], path), "not a checkpoint of this project"),
        (lambda path, trap: altered(path, latent_dim=None), "of another version of this project; .* latent_dim"),
        (lambda path, trap: altered(path, generator=3), "of another version of this project; .* generator"),
        (lambda path, trap: altered(path, latent_dim=9), "its weights do not fit its generator"),
        (lambda path, trap: altered(path, latent_dim=10**12), "its weights do not fit its generator"),
        (lambda path, trap: altered(path, named_by_a_number), "its weights do not fit its generator"),
        (lambda path, trap: altered(path, diverged), "the output of its generator is not finite"),
        (lambda path, trap: altered(path, latent_dim="x"), "model.generator: "),
        (lambda path, trap: altered(path, generator={"_target_": "os.mkdir", "path": trap}), "os.mkdir: only what is"),
        (lambda path, trap: altered(path, generator={"_target_": "gan.networks.Gone"}), "gan.networks.Gone: not there"),
        (lambda path, trap: altered(path, generator={"_target_": "two\nlines"}), "two lines: only what is"),
        (lambda path, trap: torch.save(torch.load(path) | {"data": ["mnist"]}, path), r"data=\['mnist'\]: the"),
    ],
)
def test_a_bad_checkpoint_is_one_line_and_nothing_of_it_runs(tmp_path, damage, message):
    path, trap = save_checkpoint(tmp_path / "a.ckpt"), tmp_path / "trap"
    damage(path, str(trap))
    with pytest.raises(UserError, match=message) as raised:
        DigitGenerator.open(path)
    assert str(raised.value).startswith(f"ckpt={path}: ")
    assert "\n" not in str(raised.value)
    assert not trap.exists()
    shutil.copy(path, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"ckpt=.*a\.safetensors: ") as raised:
        DigitGenerator.open(tmp_path / "a.safetensors")
    assert "\n" not in str(raised.value)


def test_what_a_user_may_name(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    named = save_checkpoint(tmp_path / "named.ckpt", num_classes=None)
    settings = [f"ckpt='{named}'", "format=safetensors", f"output_dir='{tmp_path}'"]
    pretrained = export(compose("export", [*settings, f"output='{tmp_path / 'pretrained.safetensors'}'"]))
    monkeypatch.setattr(checkpoint_files, "PRETRAINED", pretrained)
    assert DigitGenerator.open("pretrained").path == pretrained
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="gan"):
        assert DigitGenerator.open(None).path == pretrained
    assert [record.message for record in caplog.records] == [
        "no training run here yet: taking the pretrained generator (ckpt=pretrained)",
        f"generator   {pretrained}, 320 images seen",
    ]
    with pytest.raises(UserError, match="no run with a checkpoint"):
        DigitGenerator.open("last")

    last = save_checkpoint(tmp_path / "outputs/train/a_run/checkpoints/last.ckpt")
    assert DigitGenerator.open(None).path == DigitGenerator.open("last").path == last
    with pytest.raises(UserError, match=r"ckpt=best: there is no file .*best\.ckpt"):
        DigitGenerator.open("best")
    assert DigitGenerator.open("named.ckpt").num_classes is None
    pretrained.unlink()
    with pytest.raises(UserError, match=r"model=pretrained: there is no file .*pretrained\.safetensors"):
        DigitGenerator.open("pretrained", key="model")


def test_a_checkpoint_whose_output_is_no_such_image_is_refused(tmp_path):
    from my_gan import MLPGenerator

    shape = {"latent_dim": 8, "num_classes": None, "image_channels": 3}
    weights = {f"generator_ema.{name}": value for name, value in MLPGenerator(**shape, width=4).state_dict().items()}
    options = {**shape, "generator": {"_target_": "my_gan.MLPGenerator", "width": 4}}
    path = tmp_path / "grey.ckpt"
    torch.save({"state_dict": weights, "hyper_parameters": options, "epoch": 0, "images_seen": 0}, path)
    with pytest.raises(
        UserError, match=r"grey.ckpt: the output of its generator has shape \(2, 1, 28, 28\), not 3x28x28"
    ):
        DigitGenerator.open(path, device="cpu", trust=["my_gan"])
