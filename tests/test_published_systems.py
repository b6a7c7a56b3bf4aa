"""The published systems train as they were published."""

import pytest
from omegaconf import OmegaConf

from gan.config import compose

BCE = {"_target_": "gan.losses.BinaryCrossEntropy"}
SMOOTHED = {**BCE, "label_smoothing": 0.1}
COMMON = {
    "data.val_size": 0,
    "model.latent_dim": 100,
    "model.generator_optimizer": {"_target_": "torch.optim.Adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "model.discriminator_optimizer.betas": [0.5, 0.999],
    "model.discriminator_optimizer.lr": 2e-4,
    "model.instance_noise": 0.0,
    "model.gradient_clip_norm": None,
    "model.dcgan_initialization": False,
    "model.ema_half_life": 0,
}
EXPONENTIAL = {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": pytest.approx(0.96 ** (1 / 1000))}
PUBLISHED = {
    "system_a": {
        "model.loss": SMOOTHED,
        "model.instance_noise": 0.1,
        "model.gradient_clip_norm": 1.0,
        "model.dcgan_initialization": True,
        "data.batch_size": 128,
        "trainer.max_epochs": 100,
        "callbacks.samples.every_n_batches": 500,
        "callbacks.checkpoints.every_n_epochs": 5,
    },
    "system_b": {
        "model.loss": BCE,
        "data.batch_size": 128,
        "trainer.max_epochs": 50,
        "callbacks.samples.every_n_epochs": 10,
    },
    "system_c": {
        "model.loss": SMOOTHED,
        "data.batch_size": 128,
        "trainer.max_epochs": 50,
        "callbacks.samples.every_n_batches": 100,
        "callbacks.checkpoints.every_n_epochs": 10,
    },
    "system_d": {
        "model.loss": BCE,
        "model.discriminator_optimizer.lr": 2e-5,
        "model.generator_schedule": EXPONENTIAL,
        "model.discriminator_schedule": EXPONENTIAL,
        "data.batch_size": 100,
        "trainer.max_epochs": 50,
        "callbacks.samples.every_n_batches": 100,
    },
}
PUBLISHED["system_a_production"] = {**PUBLISHED["system_a"], "trainer.max_epochs": 200}


@pytest.mark.parametrize("system", sorted(PUBLISHED))
def test_published_systems_train_as_published(system):
    cfg = compose("train", [f"experiment={system}"])
    expected = {**COMMON, **PUBLISHED[system]}
    assert {key: OmegaConf.select(cfg, key) for key in expected} == expected
    assert not any(penalty.weight for penalty in cfg.model.penalties.values())
