"""What of a checkpoint is written, and what is refused when it is read."""

import numpy as np
import pytest
from tiny_runs import last_checkpoint, same_weights

from gan.errors import UserError
from gan.train.checkpoint_io import CheckpointIO


def test_a_checkpoint_that_was_damaged_later_is_refused(trained, tmp_path):
    path, checkpoint = tmp_path / "a.ckpt", last_checkpoint(trained("unconditional"))
    CheckpointIO().save_checkpoint(checkpoint, path)
    assert same_weights(checkpoint, CheckpointIO().load_checkpoint(path))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^ckpt_path={path}: damaged"):
        CheckpointIO().load_checkpoint(path)


def test_what_nobody_could_read_again_is_not_in_a_checkpoint(trained, tmp_path, caplog):
    path, checkpoint = tmp_path / "a.ckpt", last_checkpoint(trained("unconditional"))
    states, io = {**checkpoint["callbacks"], "Mine": {"best": np.float64(1)}}, CheckpointIO()
    for _ in range(2):
        io.save_checkpoint({**checkpoint, "callbacks": states}, path)
    assert io.load_checkpoint(path)["callbacks"].keys() == checkpoint["callbacks"].keys()
    (line,) = caplog.messages
    assert line.startswith("callbacks: left out of checkpoints: the state of Mine has numpy.")
    with pytest.raises(UserError, match=r"a\.ckpt: not written, it would have pathlib\.\w+;"):
        io.save_checkpoint({**checkpoint, "mine": tmp_path}, path)
    assert same_weights(checkpoint, io.load_checkpoint(path))
