"""What is said of a command that cannot be composed."""

import pytest

from gan.config import compose, explain


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.latent=3", "model.latent: no such key; did you mean latent_dim or shared_latents?"),
        ("losss=hinge", "losss: no such key; did you mean loss?"),
        ("trainr.max_epochs=3", "trainr: no such key; did you mean trainer?"),
        ("wandb.mode=offline", "wandb: only with logger=wandb"),
        ("trainer.max_epoch=3", "trainer.max_epoch: no such key; did you mean max_epochs?"),
        (
            "trainer.val_check_interval=1",
            "trainer.val_check_interval: +trainer.val_check_interval=... adds it to the config",
        ),
        ("trainer.fast_dev_run=1", "trainer.fast_dev_run: experiment=debug runs a few batches"),
        ("loss=hing", "loss=hing: no such config; bce, bce_smoothed, hinge, relativistic, wasserstein"),
        ("logger=[csv,wand]", "logger=wand: no such config; csv, none, tensorboard, wandb"),
        ("hydra/launcher=local", "hydra/launcher=local: no such config; basic, parallel, slurm"),
    ],
)
def test_a_wrong_name_brings_the_right_ones(override, line):
    with pytest.raises(Exception) as raised:  # noqa: PT011 (Hydra has many)
        compose("train", [override])
    assert explain(raised.value) == line


def test_a_key_unlike_all_others_brings_all_of_them():
    with pytest.raises(Exception) as raised:  # noqa: PT011
        compose("train", ["callbacks.samples.zzz=1"])
    names = "every_n_batches every_n_epochs num_images seed"  # those with an underscore in front are Hydra's
    assert explain(raised.value) == f"callbacks.samples.zzz: no such key; callbacks.samples has {names}"
