"""The alternating steps."""

import copy

import pytest
import torch
from lightning import Callback
from lightning.pytorch.plugins.precision import MixedPrecision

from gan.callbacks.training_log import TrainingLog
from gan.config import instantiate
from gan.errors import UserError
from gan.train import train


def state(network):
    return copy.deepcopy(network.state_dict())


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


class Snapshots(Callback):
    """Both networks' parameters before each optimizer's step and after the batch."""

    def __init__(self):
        self.taken = []

    def take(self, module):
        self.taken.append(
            {
                name: torch.cat([parameter.detach().flatten() for parameter in getattr(module, name).parameters()])
                for name in ("generator", "discriminator")
            }
        )

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.take(pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.take(pl_module)
        parameters = [*pl_module.generator.parameters(), *pl_module.discriminator.parameters()]
        assert all(parameter.requires_grad for parameter in parameters)


@pytest.mark.parametrize("options", [(), ("model.shared_latents=true", "model.one_stage=true")])
def test_each_step_changes_one_network_alone(tiny, options):
    snapshots = Snapshots()
    fit(tiny("model.discriminator.norm=false", "trainer.limit_train_batches=1", *options), snapshots)
    start, between, end = snapshots.taken
    assert torch.equal(start["generator"], between["generator"])
    assert not torch.equal(start["discriminator"], between["discriminator"])
    assert torch.equal(between["discriminator"], end["discriminator"])
    assert not torch.equal(between["generator"], end["generator"])


class ClippedNorms(Callback):
    """The norms of the gradients that the optimizers took: those still there at the end of a batch."""

    def __init__(self):
        self.norms = {"generator": [], "discriminator": []}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for name, norms in self.norms.items():
            gradients = [p.grad for p in getattr(pl_module, name).parameters() if p.grad is not None]
            norms.append(torch.nn.utils.get_total_norm(gradients).item())


def fit(cfg, *callbacks, **trainer_options):
    module, datamodule = instantiate(cfg.model, trust=["my_gan"]), instantiate(cfg.data)
    callbacks = [TrainingLog(), *callbacks]
    trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=False, enable_checkpointing=False, **trainer_options)
    trainer.fit(module, datamodule)
    return module, trainer


@pytest.mark.parametrize(("discriminator_steps", "generator_updates"), [(1, 4), (2, 2)])
def test_four_batches_are_four_updates(tiny, discriminator_steps, generator_updates):
    module, trainer = fit(tiny(f"model.discriminator_steps={discriminator_steps}"))
    generator, discriminator = trainer.optimizers
    assert {int(state["step"]) for state in generator.state.values()} == {generator_updates}
    assert {int(state["step"]) for state in discriminator.state.values()} == {4}
    assert module.images_seen == 4 * 16


def test_discriminator_steps_are_counted_across_epochs(tiny):
    shape = ("trainer.limit_train_batches=2", "trainer.max_epochs=3", "trainer.limit_val_batches=0")
    _, trainer = fit(tiny("model.discriminator_steps=3", *shape))
    assert {int(state["step"]) for state in trainer.optimizers[0].state.values()} == {2}


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_clipped_norms_stay_under_the_bound(tiny, scaled, fused):
    """With a gradient scaler too: what is clipped are unscaled gradients, though fused optimizers unscale later."""
    counted = ClippedNorms()
    options = [f"+model.{name}_optimizer.fused={fused}" for name in ("generator", "discriminator")]
    cfg = tiny("model.gradient_clip_norm=0.01", *options, *(["~trainer.precision"] if scaled else []))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    plugins = [MixedPrecision("16-mixed", "cpu", scaler=scaler)] if scaled else []
    _, trainer = fit(cfg, counted, plugins=plugins)
    for name, norms in counted.norms.items():
        assert len(norms) == 4
        assert all(0.0099 < norm <= 0.01001 for norm in norms)
        assert trainer.callback_metrics[f"train/gradient_norm_{name}"] > 0.01


def test_average_follows_the_half_life(tiny):
    class Follow(Callback):
        def on_train_start(self, trainer, pl_module):
            self.expected = [p.detach().clone() for p in pl_module.generator_ema.parameters()]

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            decay = 0.5 ** (16 / min(100, 0.5 * pl_module.images_seen))
            for value, parameter in zip(self.expected, pl_module.generator.parameters(), strict=True):
                value.mul_(decay).add_(parameter.detach(), alpha=1 - decay)

    follow = Follow()
    module, _ = fit(tiny("model.ema_half_life=100", "model.ema_warmup=0.5"), follow)
    for value, parameter in zip(follow.expected, module.generator_ema.parameters(), strict=True):
        assert torch.allclose(value, parameter, atol=1e-6)
    assert not same(module.generator.state_dict(), module.generator_ema.state_dict())


class Noted(Callback):
    """The rows that the steps returned."""

    def __init__(self):
        self.rows = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rows += [step.values() for step in outputs["logged"]]


def test_classification_stops_where_its_weight_has_fallen_to_zero(tiny):
    options = ("model.classification_weight=0.4", "model.classification_images=40", "model.num_classes=10")
    fit(tiny(*options), noted := Noted())
    assert ["loss_classification" in row for row in noted.rows] == [True, True, True, False]  # of 16 images each


@pytest.mark.parametrize("joint_batches", [False, True])
@pytest.mark.parametrize(("shared_latents", "one_stage"), [(False, False), (True, False), (True, True)])
def test_a_loss_of_just_two_methods_trains(tiny, joint_batches, shared_latents, one_stage):
    steps = (f"model.shared_latents={shared_latents}", f"model.one_stage={one_stage}")
    cfg = tiny("model.discriminator.norm=false", f"model.joint_batches={joint_batches}", *steps)
    cfg.model.loss = {"_target_": "my_gan.TwoMethods"}
    module, trainer = fit(cfg)
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())
    assert trainer.global_step == 2 * 4


def test_no_half_life_makes_the_average_the_generator(tiny):
    module, _ = fit(tiny("model.ema_half_life=0"))
    assert same(module.generator.state_dict(), module.generator_ema.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["bce_smoothed", "hinge", "wasserstein", "relativistic"])
@pytest.mark.parametrize(("conditional", "paired"), [(False, False), (True, False), (True, True)])
def test_every_loss_with_every_penalty(tiny, loss, conditional, paired):
    module, trainer = fit(
        tiny(
            f"loss={loss}",
            f"model.num_classes={10 if conditional else 'null'}",
            f"model.paired_labels={paired}",
            "model.penalties.r1.weight=0.1",
            "model.penalties.r2.weight=0.1",
            "model.penalties.r2.every=2",
            "model.penalties.wgan_gp.weight=1",
        )
    )
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())
    names = {"loss_discriminator", "loss_generator", "logit_real", "logit_fake", "accuracy_real", "accuracy_fake"}
    assert {f"train/{name}" for name in names} <= trainer.callback_metrics.keys()


def test_shared_latents_and_joint_batches_take_the_same_first_step(tiny):
    """Without normalization and noise, one pass over both batches computes what two passes do."""
    plain = ("model.discriminator.norm=false", "model.discriminator.dropout=0", "model.instance_noise=0")
    weights = []
    for override in ("model.joint_batches=false", "model.joint_batches=true"):
        torch.manual_seed(0)
        module, _ = fit(tiny(*plain, override, "model.shared_latents=true", "trainer.limit_train_batches=1"))
        weights.append(torch.cat([parameter.detach().flatten() for parameter in module.parameters()]))
    assert torch.allclose(*weights, atol=1e-6)


class Gradients(Callback):
    """The generator's gradient at its first step, before that step."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if optimizer is pl_module.optimizers(use_pl_optimizer=False)[0]:
            self.found = torch.cat([parameter.grad.flatten() for parameter in pl_module.generator.parameters()]).clone()


ONE_STAGE = ("model.discriminator.norm=false", "model.discriminator.dropout=0", "model.shared_latents=true")


@pytest.mark.slow
@pytest.mark.parametrize("joint_batches", [False, True])
@pytest.mark.parametrize("loss", [["hinge", "model.loss.leak=0.1"], ["bce"], ["wasserstein"], ["relativistic"]])
def test_one_stage_finds_the_gradient_of_a_second_pass(tiny, loss, joint_batches):
    """With a discriminator that stands still, both ways ask the same one; slopes differ from image to image."""
    found = []
    for one_stage in (False, True):
        torch.manual_seed(0)
        gradients = Gradients()
        cfg = tiny(
            *ONE_STAGE,
            f"loss={loss[0]}",
            *loss[1:],
            f"model.one_stage={one_stage}",
            f"model.joint_batches={joint_batches}",
            "model.num_classes=10",
            "model.classification_weight=0.5",
            "model.diversity_weight=0.5",
            "model.instance_noise=0",
            "model.penalties.r1.weight=1",
            "model.penalties.r2.weight=1",
            "model.gradient_clip_norm=null",
            "trainer.limit_train_batches=1",
            "model.discriminator_optimizer.lr=0",
        )
        module, datamodule = instantiate(cfg.model), instantiate(cfg.data)
        with torch.no_grad():
            for parameter in module.discriminator.parameters():
                parameter.mul_(5)  # logits on both sides of the margins
        instantiate(cfg.trainer, callbacks=[gradients], logger=False, enable_checkpointing=False).fit(
            module, datamodule
        )
        found.append(gradients.found)
    assert found[0].norm() > 1e-3
    assert torch.allclose(*found, rtol=1e-3, atol=1e-5 * found[0].norm().item())


def test_one_stage_with_noise_clipping_and_several_discriminator_steps(tiny):
    """Its norms are bounded too, and a module that was trained can be copied."""
    options = ("model.one_stage=true", "model.instance_noise=0.1", "model.discriminator_steps=2")
    counted = ClippedNorms()
    module, _ = fit(tiny(*ONE_STAGE, *options, "model.gradient_clip_norm=1e-4"), counted)
    assert all(0.99e-4 < norm <= 1.001e-4 for norm in counted.norms["generator"][1:])
    assert same(module.state_dict(), copy.deepcopy(module).state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("joint_batches", [False, True])
def test_the_discriminator_learns_labels_where_classification_has_a_weight(tiny, joint_batches):
    """Both runs see the same batches and draw the same noise; only one of them is told to read the labels."""
    long = ("trainer.limit_train_batches=40", "model.num_classes=10", f"model.joint_batches={joint_batches}")
    losses = []
    for weight in (0.0, 2.0):
        torch.manual_seed(0)
        module, trainer = fit(
            tiny(*long, "model.discriminator_optimizer.lr=0.003", f"model.classification_weight={weight}")
        )
        images, labels = trainer.datamodule.train_images, trainer.datamodule.train_labels
        with torch.no_grad():
            logits = module.discriminator.eval()(images / 127.5 - 1)
        losses.append(torch.nn.functional.cross_entropy(logits, labels).item())
    assert "train/loss_classification" in trainer.callback_metrics
    assert losses[1] < losses[0] - 0.2


def test_schedules_count_generator_steps(tiny):
    step = "{_target_: torch.optim.lr_scheduler.StepLR, step_size: 1, gamma: 0.5}"
    linear = "{_target_: gan.schedules.LinearDecay, total_steps: null, start: 0.0}"
    _, trainer = fit(
        tiny(
            "model.discriminator_steps=2",
            f"model.generator_schedule={step}",
            f"model.discriminator_schedule={linear}",
            "model.generator_optimizer.lr=0.001",
            "model.discriminator_optimizer.lr=0.001",
        )
    )
    generator, discriminator = trainer.optimizers
    assert generator.param_groups[0]["lr"] == pytest.approx(0.001 * 0.5**2)
    assert discriminator.param_groups[0]["lr"] == pytest.approx(0)


def test_generate_is_deterministic_and_leaves_the_random_numbers_alone(tiny):
    module = instantiate(tiny("model.num_classes=10").model)
    z, labels = torch.randn(4, 8), torch.arange(4)
    before = torch.get_rng_state()
    images = module.generate(z, labels)
    assert torch.equal(before, torch.get_rng_state())
    assert (images.dtype, images.shape) == (torch.uint8, (4, 1, 28, 28))
    assert torch.equal(images, module.generate(z, labels))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.latent_dim=0", r"model\.latent_dim=0"),
        ("model.loss.label_smoothing=1.5", r"model\.loss\.label_smoothing=1\.5"),
        ("model.classification_weight=0.1", r"model\.classification_weight=0\.1: .*num_classes"),
        ("model.one_stage=true", r"model\.one_stage=true: .*shared_latents"),
        (["model.shared_latents=true", "model.one_stage=true"], r"model\.one_stage=true: .*batch normalization"),
        (
            ["loss=hinge", "model.loss.leak=2"],
            r"model\.loss\.leak=2",
        ),
        (
            [*ONE_STAGE, "model.one_stage=true", "loss=hinge", "model.loss.leak=0"],
            r"model\.loss\.leak=0\.1; .* model\.one_stage=false",
        ),
        ("model.penalties.r1.every=0", r"model\.penalties\.r1"),
        ("model.generator_optimizer.lr=-1", r"model\.generator_optimizer: Invalid learning rate"),
    ],
)
def test_impossible_values_are_refused(tiny, override, message):
    with pytest.raises(UserError, match=message):
        train(tiny(*([override] if isinstance(override, str) else override)))
