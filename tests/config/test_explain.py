"""What is said of a command that cannot be composed."""

import pytest

from gan.config import compose, explain


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.latent=3", "model.latent: no such key; did you mean latent_dim or shared_latents?"),
        ("losss=hinge", "losss: no such key; did you mean loss?"),
        *(
            (override, f"{g}: no such key; {g}=NAME chooses a config, whose keys gan train --help {g} lists")
            for g, override in [("loss", "loss={_target_: my_gan.Loss}"), ("hardware", "hardware.accelerator=cpu")]
        ),
        ("batch_size=64", "batch_size: no such key; did you mean data.batch_size or data.val_batch_size?"),
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
        ("hydra.launcher.n_jobs=2", "hydra.launcher.n_jobs: only with launcher=parallel"),
        ("hydra.callbacks.a=1", "hydra.callbacks.a: no such key; hydra.callbacks has none, only + adds one"),
        ("seed=int(abc)", "seed=int(abc): invalid literal for int() with base 10: 'abc'"),
        (
            "+model=stacked",
            "model=stacked: model is chosen already; no + before it, or `override /model: stacked` in defaults",
        ),
    ],
)
def test_a_wrong_name_brings_the_right_ones(override, line):
    with pytest.raises(Exception) as raised:  # noqa: PT011 (Hydra has many)
        compose("train", [override])
    assert explain(raised.value) == line


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("doctor", "foo: no such key; gan doctor has data"),
        ("sweeps", "foo: no such key; gan sweeps has sweep_name"),
        ("export", "foo: no such key; gan export has ckpt dtype format license measures output overwrite trust"),
    ],
)
def test_a_key_of_no_command_brings_those_of_the_command(gan, command, line):
    assert gan(command, "foo=1") == (2, "", f"gan {command}: {line}\n")


def test_an_interpolation_without_such_a_key_is_told_by_the_key_that_has_it(gan):
    assert gan("train", "seed=${sed}") == (2, "", "gan train: seed: Interpolation key 'sed' not found\n")


def test_a_key_unlike_all_others_brings_all_of_them():
    with pytest.raises(Exception) as raised:  # noqa: PT011
        compose("train", ["callbacks.samples.zzz=1"])
    names = "every_n_batches every_n_epochs num_images seed"  # those with an underscore in front are Hydra's
    assert explain(raised.value) == f"callbacks.samples.zzz: no such key; callbacks.samples has {names}"
