"""The data module: splits, errors, the fallback, and Lightning's loop over it."""

from types import SimpleNamespace

import hydra
import pytest
import torch
from lightning import LightningModule, Trainer
from miniature import flat, made, numbers, ready

from gan.config import CONFIG_DIR, compose
from gan.data import MNIST, MNISTDataModule, Source
from gan.errors import UserError

CONFIGS = sorted((CONFIG_DIR / "data").glob("*.yaml"))


def as_rank(datamodule, rank, world_size):
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    datamodule.trainer = SimpleNamespace(global_rank=rank, world_size=world_size, overfit_batches=0, strategy=strategy)
    return datamodule


def test_splits_are_apart_and_independent_of_the_seed(data_dir):
    datamodule, other = ready(data_dir, seed=0), ready(data_dir, seed=1)
    train, val = numbers(datamodule.train_images), numbers(datamodule.val_images)
    assert sorted(train + val) == list(range(200))
    assert len(val) == 50
    assert torch.bincount(datamodule.val_labels).tolist() == [5] * 10
    assert numbers(datamodule.test_images) == list(range(60))
    for name in ("train_images", "train_labels", "val_images", "val_labels"):
        assert torch.equal(getattr(datamodule, name), getattr(other, name))
    for split in ("train", "val", "test"):
        assert getattr(datamodule, f"{split}_images").dtype == torch.uint8
        assert getattr(datamodule, f"{split}_labels").dtype == torch.int64


def test_loaders_read_their_own_split(data_dir):
    datamodule = ready(data_dir)
    for name in ("train", "val", "test"):
        seen = flat(numbers(images) for images, _ in getattr(datamodule, f"{name}_dataloader")())
        assert sorted(seen) == sorted(numbers(getattr(datamodule, f"{name}_images")))


def test_without_validation_images_it_measures_against_training_images(data_dir, caplog):
    datamodule = ready(data_dir, val_size=0)
    assert "data.val_size=0: validation measures against 200 of the training images" in caplog.text
    assert numbers(datamodule.train_images) == list(range(200))
    assert sorted(numbers(datamodule.val_images)) == list(range(200))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 151),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("val_size", -1),
        ("val_size", 200),
        ("val_batch_size", 0),
        ("images_per_epoch", 0),
        ("seed", -1),
    ],
)
def test_impossible_values_are_told(data_dir, key, value):
    with pytest.raises(UserError, match=rf"^data\.{key}={value}: .+$"):
        ready(data_dir, **{key: value})


def test_too_few_images_for_the_ranks(data_dir):
    ready(data_dir, batch_size=150)
    with pytest.raises(UserError, match=r"data\.batch_size=150: at most 75"):
        as_rank(made(data_dir, batch_size=150), 0, 2).setup()
    with pytest.raises(UserError, match=r"data\.val_size=2"):
        as_rank(made(data_dir, val_size=2), 0, 3).setup()
    with pytest.raises(UserError, match=r"data\.batch_size=10: at most 8"):
        ready(data_dir, images_per_epoch=8)


def test_ranks_come_from_the_trainer(data_dir):
    seen = []
    for rank in range(2):
        datamodule = as_rank(made(data_dir), rank, 2)
        datamodule.setup()
        for loader, count in ((datamodule.train_dataloader(), 7), (datamodule.val_dataloader(), 2)):
            assert len(loader) == count
        seen.append({number for images, _ in datamodule.train_dataloader() for number in numbers(images)})
    assert not seen[0] & seen[1]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_makes_a_data_module(path):
    cfg = compose("train", [f"data={path.stem}", "seed=4", "output_dir=unused"])
    datamodule = hydra.utils.instantiate(cfg.data)
    assert isinstance(datamodule, MNISTDataModule)
    assert datamodule.source.name == path.stem
    assert datamodule.seed == 4
    assert path.read_text().startswith("# ")


class Squares(Source):
    name, num_classes = "squares", None

    def __init__(self, dtype=torch.uint8, channels=1, labels=0):
        self.dtype, self.drawn_channels, self.label = dtype, channels, labels

    def train(self):
        images = torch.zeros(40, self.drawn_channels, 28, 28, dtype=self.dtype)
        images[:, :, 9:19, 9:19] = 255
        return images, torch.full((40,), self.label)

    def test(self):
        return self.train()


def test_a_source_of_ones_own(tmp_path):
    datamodule = ready(tmp_path, source=Squares(), val_size=8)
    assert len(datamodule.train_images) == 32
    with pytest.raises(UserError, match=r"data\.source=Squares: .*float32"):
        ready(tmp_path, source=Squares(torch.float32), val_size=8)
    with pytest.raises(UserError, match=r"data\.source=Squares: gave images of 3 channels; its `channels` is 1"):
        ready(tmp_path, source=Squares(channels=3), val_size=8)
    counted_from_one = Squares(labels=2)
    counted_from_one.num_classes = 2
    with pytest.raises(UserError, match=r"data\.source=Squares: gave labels 2 to 2; its `num_classes` allows 0 to 1"):
        ready(tmp_path, source=counted_from_one, val_size=8)


class Recorder(LightningModule):
    """Notes the numbers of the images of each epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained, self.validated = {}, {}

    def training_step(self, batch, batch_idx):
        self.trained.setdefault(self.current_epoch, []).extend(numbers(batch[0]))
        return self.weight * 0

    def validation_step(self, batch, batch_idx):
        self.validated.setdefault(self.current_epoch, []).extend(numbers(batch[0]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(datamodule, folder, ckpt_path=None, **arguments):
    module = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        **arguments,
    )
    trainer.fit(module, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=True)
    trainer.save_checkpoint(folder / f"{trainer.current_epoch}.ckpt")
    return module


@pytest.mark.parametrize("use_distributed_sampler", [True, False])
def test_lightning_sets_the_epoch(data_dir, tmp_path, use_distributed_sampler):
    module = fit(made(data_dir), tmp_path, max_epochs=2, use_distributed_sampler=use_distributed_sampler)
    datamodule = ready(data_dir)
    batches = datamodule.train_dataloader()
    for epoch in range(2):
        batches.set_epoch(epoch)
        assert module.trained[epoch] == flat(numbers(images) for images, _ in batches)
        assert module.validated[epoch] == numbers(datamodule.val_images)
    assert module.trained[0] != module.trained[1]


def test_a_resumed_epoch_has_its_own_order(data_dir, tmp_path):
    whole = fit(made(data_dir), tmp_path, max_epochs=2)
    fit(made(data_dir), tmp_path, max_epochs=1)
    resumed = fit(made(data_dir), tmp_path, ckpt_path=tmp_path / "1.ckpt", max_epochs=2)
    assert resumed.trained == {1: whole.trained[1]}


def test_overfit_batches_repeats_the_same_ones(data_dir, tmp_path):
    module = fit(made(data_dir), tmp_path, max_epochs=2, overfit_batches=3)
    assert module.trained[0] == module.trained[1]
    assert len(module.trained[0]) == 30


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda images, labels: (images > 127, labels), "images torch.bool [150, 1, 28, 28]"),
        (lambda images, labels: (images[..., :20], labels), "images torch.uint8 [150, 1, 28, 20]"),
        (lambda images, labels: (images[:9], labels), "labels torch.int64 [150]"),
        (lambda images, labels: (images.numpy(), labels), "images ndarray"),
        (lambda images, labels: images, "images torch.uint8 [150, 1, 28, 28] and labels NoneType"),
    ],
)
def test_what_a_source_composes_is_checked(data_dir, changed, words):
    class Own(MNIST):
        def compose(self, images, labels, split):
            return changed(images, labels)

    with pytest.raises(UserError, match=r"^data\.source=Own: gave ") as raised:
        ready(data_dir, source=Own())
    assert words in str(raised.value)
