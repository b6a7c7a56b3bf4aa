"""The digits that come with scikit-learn."""

import hydra
import torch

from gan.config import compose
from gan.data import Digits


def test_digits_need_no_files():
    (images, labels), (test_images, test_labels) = Digits().train(), Digits().test()
    assert (images.shape, test_images.shape) == ((1500, 1, 28, 28), (297, 1, 28, 28))
    assert (images.dtype, labels.dtype, int(images.min()), int(images.max())) == (torch.uint8, torch.int64, 0, 255)
    for part in (labels, test_labels):
        assert torch.bincount(part).float().div(len(part)).sub(0.1).abs().max() < 0.01
    assert torch.equal(images, Digits().train()[0])


def test_they_are_20_pixels_wide_in_the_middle():
    images, _ = Digits().test()
    used = images.amax(0)[0] > 0
    inner = torch.zeros(28, 28, dtype=torch.bool)
    inner[4:24, 4:24] = True
    assert not used[~inner].any()
    assert used[4].any()
    assert used[23].any()


def test_the_digits_config_needs_no_fallback():
    cfg = compose("train", ["data=digits", "output_dir=unused"])
    datamodule = hydra.utils.instantiate(cfg.data)
    datamodule.prepare_data()
    datamodule.setup()
    assert (len(datamodule.train_dataloader()), len(datamodule.val_dataloader())) == (20, 1)
