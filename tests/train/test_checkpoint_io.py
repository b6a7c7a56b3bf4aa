"""Checkpoints as Lightning writes and reads them."""

import pytest
from tiny_runs import last_checkpoint, same_weights

from gan.errors import UserError
from gan.module import GAN
from gan.train.checkpoint_io import CheckpointIO


@pytest.mark.slow
def test_a_checkpoint_loads_by_itself(run, tmp_path):
    module, _ = run()
    loaded = GAN.load_from_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert same_weights({"state_dict": module.state_dict()}, {"state_dict": loaded.state_dict()})
    assert loaded.images_seen == module.images_seen == 64


def test_a_checkpoint_that_was_damaged_later_is_refused(trained, tmp_path):
    path, checkpoint = tmp_path / "a.ckpt", last_checkpoint(trained("unconditional"))
    CheckpointIO().save_checkpoint(checkpoint, path)
    assert same_weights(checkpoint, CheckpointIO().load_checkpoint(path))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^ckpt_path={path}: damaged"):
        CheckpointIO().load_checkpoint(path)


def test_a_checkpoint_callback_of_lightnings_makes_its_folder(run, tmp_path):
    own = f"{{_target_: lightning.pytorch.callbacks.ModelCheckpoint, dirpath: '{tmp_path}/a/b', filename: mine}}"
    run(f"+callbacks.own={own}")
    assert (tmp_path / "a" / "b" / "mine.ckpt").is_file()
