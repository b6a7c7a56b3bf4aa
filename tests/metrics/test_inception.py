"""Inception with random weights of the right shape: what holds whatever the weights are."""

import urllib.error

import pytest
import torch

from gan.errors import UserError
from gan.metrics import ImageMeasures, build_extractor

FILE = "weights-inception-2015-12-05-6726825d.pth"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Network

    path = tmp_path_factory.mktemp("inception") / FILE
    torch.save({}, path)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(Network, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        torch.save(Network("inception", ["2048"], str(path)).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def inception(weights):
    return build_extractor("inception", str(weights))


def test_shapes_and_channels(inception, sets):
    images = sets.held_out[:2]
    features, logits = inception(images)
    assert (features.shape, logits.shape) == ((2, 2048), (2, 1008))
    tiled, _ = inception(images.repeat(1, 3, 1, 1))
    assert torch.equal(features, tiled)
    colored, _ = inception(torch.cat([images, images.flip(0), images], dim=1))
    assert not torch.equal(features, colored)


def test_resized_as_torch_fidelity_does(inception, weights, sets):
    from torchmetrics.image.fid import NoTrainInceptionV3

    images = sets.held_out[:1]
    features, _ = inception(images)
    plain, antialiased = (
        NoTrainInceptionV3("inception-v3-compat", ["2048"], str(weights), antialias=antialias)(
            images.expand(-1, 3, -1, -1)
        )
        for antialias in (False, True)
    )
    # Relative to their length: what random weights give is far from 1.
    assert (features - plain).norm() < 1e-4 * plain.norm()
    assert (features - antialiased).norm() > 1e-3 * plain.norm()


def test_frozen_and_drawn_from_nothing(inception, weights):
    inception.train()
    assert not any(module.training for module in inception.modules())
    assert not any(p.requires_grad for p in inception.parameters())
    state = torch.get_rng_state()
    build_extractor("inception", weights)
    assert torch.equal(torch.get_rng_state(), state)


def test_measures(inception, sets, collected):
    wanted = ["precision", "recall", "quality"]
    measures = collected(wanted, sets.held_out[:6], sets.held_out[:4], extractor=inception)
    assert measures.compute()["precision"] == 1
    with pytest.raises(UserError, match=r"metrics\.measures=\['digit_accuracy'\]"):
        ImageMeasures(inception, ["digit_accuracy"])


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=rf"metrics\.inception_weights=.*none\.pth: no such file; put {FILE} there"):
        build_extractor("inception", str(tmp_path / "none.pth"))


@pytest.mark.parametrize("content", [{"Conv2d_1a_3x3.conv.weight": torch.zeros(1)}, ["no", "tensors"], None])
def test_other_file(tmp_path, content):
    path = tmp_path / "other.pth"
    path.write_bytes(b"no weights") if content is None else torch.save(content, path)
    with pytest.raises(UserError, match=rf"metrics\.inception_weights=.*other\.pth: not the weights {FILE}"):
        build_extractor("inception", path)


def test_pickled_code_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    torch.save(Trap(), tmp_path / "trap.pth")
    with pytest.raises(UserError, match="not the weights"):
        build_extractor("inception", tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_offline_error_names_file_and_place(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    with pytest.raises(UserError) as caught:
        build_extractor("inception")
    text = str(caught.value)
    assert "\n" not in text
    assert all(part in text for part in (FILE, str(tmp_path / "checkpoints"), "metrics.inception_weights"))


def test_a_file_in_torch_s_hub_folder_is_found(weights, tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / FILE).symlink_to(weights)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    assert build_extractor("inception").name == "inception"
