"""A module that looks to callbacks as GAN does, with nothing to learn and no time to take."""

from pathlib import Path

import torch
from lightning import LightningDataModule, LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from gan.callbacks.mid_epoch import MidEpoch

BATCH, BATCHES = 4, 5


class TinyModule(LightningModule):
    def __init__(self, num_classes=None, stop_at=None):
        super().__init__()
        self.latent_dim, self.num_classes, self.images_seen, self.stop_at = 3, num_classes, 0, stop_at
        self.weights = nn.Linear(3, 28 * 28)

    def generate(self, z, labels=None):
        assert (labels is None) == (self.num_classes is None)
        shade = 0 if labels is None else 20 * labels.view(-1, 1)
        with torch.no_grad():
            return (128 + 40 * self.weights(z) + shade).clamp(0, 255).to(torch.uint8).view(-1, 1, 28, 28)

    def training_step(self, batch, batch_idx):
        self.images_seen += BATCH
        loss = self.weights.weight.square().mean()
        self.log_dict({"train/loss_generator": loss, "train/loss_discriminator": 2.0, "train/lr_generator": 0.1})
        self.log("images_seen", float(self.images_seen))
        if self.images_seen == self.stop_at:
            raise KeyboardInterrupt
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/fid_mnist", 1.0)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_save_checkpoint(self, checkpoint):
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint):
        self.images_seen = checkpoint["images_seen"]


class TinyData(LightningDataModule):
    batch_size, epoch_images, train_images = BATCH, BATCH * BATCHES, torch.zeros(BATCH * BATCHES, 1)
    seed, stratified_batches, rare_share = 0, False, 0.0
    val_images = torch.arange(30).view(-1, 1, 1, 1).expand(-1, 1, 28, 28).to(torch.uint8)
    val_labels = torch.arange(30) % 10

    def train_dataloader(self):
        return DataLoader(self.train_images, batch_size=BATCH)

    def val_dataloader(self):
        return DataLoader(torch.zeros(1, 1))


def fit(folder: Path, *callbacks, epochs=1, loggers=(), ckpt_path=None, module=None):
    """Trains a TinyModule in a folder and returns its trainer."""
    torch.manual_seed(0)
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[MidEpoch(), *callbacks],  # as `gan train` does
        logger=list(loggers),
        log_every_n_steps=2,
        enable_checkpointing=any(hasattr(callback, "best_model_path") for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module or TinyModule(), datamodule=TinyData(), ckpt_path=ckpt_path)
    return trainer
