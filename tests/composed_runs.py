"""Training a composed config without the callbacks of a run."""

import torch
from lightning import Callback

from gan.callbacks.training_log import TrainingLog
from gan.config import instantiate


def fit(cfg, *callbacks, **trainer_options):
    module, datamodule = instantiate(cfg.model, trust=["my_gan"]), instantiate(cfg.data)
    callbacks = [TrainingLog(), *callbacks]
    trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=False, enable_checkpointing=False, **trainer_options)
    trainer.fit(module, datamodule)
    return module, trainer


def executed(cfg, execution, *callbacks, logger=False):
    """Trains with an execution of its own."""
    torch.manual_seed(0)
    module, datamodule = instantiate(cfg.model), instantiate(cfg.data)
    module.execution = execution
    trainer = instantiate(cfg.trainer, callbacks=[*callbacks], logger=logger)
    trainer.fit(module, datamodule)
    return module, trainer


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


class ClippedNorms(Callback):
    """The norms of the gradients that the optimizers took: those still there at the end of a batch."""

    def __init__(self):
        self.norms = {"generator": [], "discriminator": []}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for name, norms in self.norms.items():
            gradients = [p.grad for p in getattr(pl_module, name).parameters() if p.grad is not None]
            norms.append(torch.nn.utils.get_total_norm(gradients).item())


ONE_STAGE = ("model.discriminator.norm=false", "model.discriminator.dropout=0", "model.shared_latents=true")
FUSED = tuple(f"+model.{name}_optimizer.fused=true" for name in ("generator", "discriminator"))
