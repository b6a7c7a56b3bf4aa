"""A network, a loss and a data set of one's own are trained, saved and reloaded without touching `gan/`."""

import pytest
import torch
from tiny_runs import EXTENSION

from gan.errors import UserError
from gan.module import GAN


def test_own_network_loss_and_data(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXTENSION)
    module, _ = run("model=mlp", "data=stripes", config_dirs=[EXTENSION / "my_conf"], narrow=False)
    assert type(module.generator).__name__ == "MLPGenerator"

    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"model\.generator\._target_=my_gan\.MLPGenerator"):
        GAN.load_from_checkpoint(path)
    loaded = GAN.load_from_checkpoint(path, trust=["my_gan"])
    z = torch.randn(3, module.latent_dim)
    assert torch.equal(loaded.generate(z), module.generate(z))
