"""The alternating steps."""

import copy

import pytest
import torch
from composed_runs import ONE_STAGE, ClippedNorms, fit, same
from lightning import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.precision import MixedPrecision

from gan.config import instantiate
from gan.errors import UserError
from gan.train import train


def state(network):
    return copy.deepcopy(network.state_dict())


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


def test_no_half_life_makes_the_average_the_generator(tiny):
    module, _ = fit(tiny("model.ema_half_life=0"))
    assert same(module.generator.state_dict(), module.generator_ema.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("joint_batches", [False, True])
def test_the_discriminator_learns_labels_where_classification_has_a_weight(tiny, joint_batches):
    """Both runs see the same batches and draw the same noise; only one of them is told to read the labels."""
    long = ("trainer.limit_train_batches=25", "model.num_classes=10", f"model.joint_batches={joint_batches}")
    losses = []
    for weight in (0.0, 2.0):
        torch.manual_seed(0)
        module, trainer = fit(
            tiny(*long, "model.discriminator_optimizer.lr=0.005", f"model.classification_weight={weight}")
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


def test_a_fit_from_no_checkpoint_is_a_new_run_from_the_weights_there(tiny):
    """Its rates fall over its own length; a trainer that has trained already continues."""
    linear = "{_target_: gan.schedules.LinearDecay, start: 0.0}"
    cfg = tiny(f"model.generator_schedule={linear}", "trainer.limit_train_batches=2", "trainer.limit_val_batches=0")
    module, first = fit(cfg)
    begun = state(module.generator)
    module.rewinds = 1  # as a module has that is loaded from a checkpoint of a run that went back
    second = instantiate(cfg.trainer, logger=False, enable_checkpointing=False)
    second.fit(module, first.datamodule)
    assert not same(begun, state(module.generator))
    assert (module.images_seen, module.rewinds) == (2 * 16, 0)
    assert [module.lr_schedulers().lr_lambdas[0](step) for step in range(3)] == [1.0, 0.5, 0.0]
    second.fit_loop.max_epochs = 2
    second.fit(module, first.datamodule)
    assert module.images_seen == 4 * 16


def test_a_checkpoint_of_an_epochs_last_batch_resumes_with_the_random_numbers_of_the_next(tiny, tmp_path):
    """Lightning's own checkpoints may be of that time. It then leaves out the hook that an epoch starts with."""
    cfg = tiny("trainer.limit_train_batches=2", "trainer.limit_val_batches=0", "trainer.max_epochs=2")

    def ended(ckpt_path=None):
        module = instantiate(cfg.model)
        checkpoints = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, every_n_train_steps=4)
        trainer = instantiate(cfg.trainer, callbacks=[checkpoints], logger=False)
        trainer.fit(module, instantiate(cfg.data), ckpt_path=ckpt_path)
        return state(module)

    assert same(ended(), ended(tmp_path / "step=4.ckpt"))


def test_a_discriminator_in_the_place_of_the_first_is_the_one_that_learns(tiny):
    cfg = tiny("trainer.limit_train_batches=1", "trainer.limit_val_batches=0")
    module = instantiate(cfg.model)
    module.discriminator = copy.deepcopy(module.discriminator)
    before = state(module.discriminator)
    instantiate(cfg.trainer, logger=False, enable_checkpointing=False).fit(module, instantiate(cfg.data))
    assert not same(before, state(module.discriminator))


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
        ("model.generator_optimizer.lr=-1", r"model\.generator_optimizer\.lr=-1: a number, 0 or more"),
        ("model.generator_optimizer.betas=[2,0.9]", r"model\.generator_optimizer: Invalid beta"),
    ],
)
def test_impossible_values_are_refused(tiny, override, message):
    with pytest.raises(UserError, match=message):
        train(tiny(*([override] if isinstance(override, str) else override)))


@pytest.mark.parametrize(
    "wrong",
    ["ema_half_life=-1", "ema_warmup=0", "discriminator_steps=0", "joint_batches=no", "seed=-1", "diversity_weight=-1"],
)
def test_a_module_refuses_impossible_values_by_itself(tiny, wrong):
    with pytest.raises(UserError, match=f"^model.{wrong}: "):
        instantiate(tiny(f"model.{wrong}").model)


def test_a_precision_that_no_step_supports_is_refused(tiny):
    with pytest.raises(UserError, match=r"trainer\.precision=bf16-true: .*32-true"):
        fit(tiny("trainer.precision=bf16-true"))
