"""Safetensors files of networks whose state is not one contiguous tensor under each name."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from shared_layers import SharedGenerator
from torch import nn

from gan.checkpoint_files import PRETRAINED
from gan.errors import UserError
from gan.metrics.extractor import WEIGHTS
from gan.safetensors_files import pack, unpack


@pytest.fixture
def network():
    return SharedGenerator(latent_dim=4, num_classes=10, image_channels=1)


def test_a_state_comes_back_as_it_was(network, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(pack(network.state_dict(), {"more": "text"}))
    state, metadata = unpack(tmp_path / "a.safetensors")
    assert metadata["more"] == "text"
    again = SharedGenerator(latent_dim=4, num_classes=10, image_channels=1)
    again.calls = 0
    again.load_state_dict(state)
    assert again.calls == 3
    assert again.by_name["classes"] is again.classes
    z, labels = torch.randn(5, 4), torch.arange(5)
    assert torch.equal(again(z, labels), network(z, labels))


def test_other_programs_read_it(tmp_path):
    network = nn.ModuleDict({"a": nn.Linear(2, 2)})
    network["b"] = network["a"]
    (tmp_path / "a.safetensors").write_bytes(pack(network.state_dict()))
    network.load_state_dict(load_file(tmp_path / "a.safetensors"))
    for file in (tmp_path / "a.safetensors", PRETRAINED, WEIGHTS):
        with safe_open(file, framework="pt") as opened:
            assert opened.metadata()["format"] == "pt"


def test_the_same_state_gives_the_same_bytes(network):
    texts = {name: name for name in "abcdefgh"}
    assert len({pack(network.state_dict(), texts) for _ in range(10)}) == 1


@pytest.mark.parametrize("value", [torch.eye(3).to_sparse(), object()])
def test_state_that_has_no_place_in_the_file_is_one_line(value):
    with pytest.raises(UserError, match="a safetensors file cannot hold the state of this network") as raised:
        pack({"a": torch.ones(1), "b": value})
    assert "\n" not in str(raised.value)
