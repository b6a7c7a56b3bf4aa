"""Checkpoints are read right or refused in one line, whatever has happened to their files."""

import random
import re

import pytest
import torch

from gan.checkpoint_files import newest_whole, read_checkpoint, write_checkpoint
from gan.errors import UserError
from gan.inference import DigitGenerator

OPTIONS = {"generator": {"_target_": "gan.networks.ConvGenerator"}, "latent_dim": 1, "num_classes": None}
CHECKPOINT = {
    "state_dict": {"weight": torch.arange(3000.0)},
    "hyper_parameters": {**OPTIONS, "image_channels": 1},
    "images_seen": 3,
    "epoch": 0,
}


@pytest.fixture
def path(tmp_path):
    write_checkpoint(tmp_path / "last.ckpt", CHECKPOINT)
    return tmp_path / "last.ckpt"


def test_others_can_read_what_is_written(path):
    loaded = torch.load(path, weights_only=True)
    assert torch.equal(loaded["state_dict"]["weight"], CHECKPOINT["state_dict"]["weight"])


def test_a_cut_file_is_refused_in_one_line(path):
    content = path.read_bytes()
    for length in [*range(0, len(content), 1000), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=re.escape(f"ckpt={path}: ")) as raised:
            read_checkpoint(path, "ckpt")
        assert "\n" not in str(raised.value)


def test_a_flipped_bit_is_never_read_as_other_weights(path):
    content, chance, refused = path.read_bytes(), random.Random(0), 0
    for position in [*range(0, len(content), 61), *range(len(content) - 200, len(content))]:
        changed = bytearray(content)
        changed[position] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        try:
            loaded = read_checkpoint(path, "ckpt")
        except UserError:
            refused += 1
        else:
            assert torch.equal(loaded["state_dict"]["weight"], CHECKPOINT["state_dict"]["weight"])
            assert loaded["images_seen"] == 3
    assert refused > 200


def test_the_newest_whole_checkpoint_takes_the_place_of_a_damaged_one(path, caplog):
    for name in ("epoch_0001", "epoch_0002"):
        write_checkpoint(path.with_name(f"{name}.ckpt"), CHECKPOINT)
    assert newest_whole(path) == path
    path.write_bytes(path.read_bytes()[:-1])
    assert newest_whole(path).name == "epoch_0002.ckpt"
    assert "last.ckpt is damaged or missing: taking epoch_0002.ckpt" in caplog.text
    for each in path.parent.iterdir():
        each.write_bytes(each.read_bytes()[:500])
    with pytest.raises(UserError, match="damaged or missing, and there is no whole checkpoint"):
        newest_whole(path)


@pytest.fixture
def as_if_on_cuda(monkeypatch):
    """Rewrites a checkpoint with the tensors marked as CUDA's, as a run on a GPU writes them."""

    def rewrite(file):
        content = torch.load(file, weights_only=True)
        with monkeypatch.context() as patch:
            patch.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
            write_checkpoint(file, content)
        return file

    return rewrite


@pytest.mark.slow
def test_a_checkpoint_of_a_gpu_is_resumed_and_used_without_one(run, tmp_path, as_if_on_cuda):
    run()
    file = as_if_on_cuda(tmp_path / "run" / "checkpoints" / "last.ckpt")
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(file, weights_only=True)
    module, _ = run("trainer.max_epochs=2", "ckpt_path=auto")
    assert module.images_seen == 128
    as_if_on_cuda(file)
    run(f"init_from='{file}'", folder="new")
    generator = DigitGenerator.from_checkpoint(file, device="cpu")  # what every other command reads it with
    assert generator.info()["images_seen"] == 128


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(UserError, match="Is a directory"):
        read_checkpoint(tmp_path, "ckpt")
