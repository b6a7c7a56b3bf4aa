"""Overrides that make a run of any config end in a second, on embedded digits."""

import json
import os
from pathlib import Path

EXTENSION = Path(__file__).parent / "extension"
WITH_EXTENSION = os.pathsep.join(filter(None, [str(EXTENSION), os.environ.get("PYTHONPATH")]))  # for processes

TINY = (
    "data=digits",
    "data.batch_size=16",
    "++data.val_batch_size=100",
    "trainer.max_epochs=1",
    "max_images=null",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=1",
    "trainer.log_every_n_steps=1",
    "+trainer.enable_progress_bar=false",
    "~callbacks.progress_bar",
    "hardware=cpu",
)
NARROW = (
    "model.latent_dim=8",
    "model.generator.channels=[16,8,8]",
    "model.discriminator.channels=[8,8,8]",
)
SWEPT = (  # a job of a sweep: one batch, and one measure
    *(text for text in TINY if not text.startswith("trainer.limit_train_batches")),
    *NARROW,
    *("trainer.limit_train_batches=1", "callbacks.measures.measures=[fid]", "~callbacks.plots", "~callbacks.samples"),
)
SEARCH = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=3")
FAST = ("~callbacks.plots", "~callbacks.samples")
RUNS = {
    "conditional": ("model.num_classes=10",),
    "unconditional": (),
    "three_epochs": ("trainer.max_epochs=3",),
    "stacked": ("model.image_channels=3", "data.source._target_=three_channels.ThreeDigits"),
}


def last_checkpoint(run):
    import torch

    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def same_weights(first, second):
    import torch

    return all(torch.equal(value, second["state_dict"][name]) for name, value in first["state_dict"].items())


def change_best_score(run, score):
    """Makes a run's best checkpoint one of another score."""
    path = run / "checkpoints" / "best.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "best_score": score}))
