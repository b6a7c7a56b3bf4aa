"""The losses of a step."""

import copy

import pytest
import torch
from composed_runs import ONE_STAGE, ClippedNorms, fit, same
from lightning import Callback

from gan.config import instantiate
from gan.errors import UserError
from gan.losses import AdversarialLoss, BinaryCrossEntropy, Relativistic
from gan.networks import ConvDiscriminator
from gan.objectives import Images, Objectives, one_stage_loss, pair_distance, with_noise
from gan.penalties import Penalty, r1

LAYERS = [{"kernel_size": 4, "stride": 2, "padding": 1}, {"kernel_size": 4, "stride": 2, "padding": 1}]


def discriminator(num_classes=10):
    return ConvDiscriminator([8, 8], LAYERS, norm=False, num_classes=num_classes)


def images(count=20, labels=None, requires_grad=False):
    return Images(torch.randn(count, 1, 28, 28).requires_grad_(requires_grad), labels)


@pytest.mark.parametrize("joint_batches", [False, True])
def test_each_image_is_judged_with_its_own_label(joint_batches):
    """Both steps ask with the right labels, real and generated."""
    network = discriminator()
    objectives = Objectives(network, Relativistic(), 10, joint_batches)
    real, fake = images(40, torch.full((40,), 3)), images(40, torch.arange(40) % 10)
    seen = []
    network.register_forward_pre_hook(lambda network, given: seen.append(given))
    objectives.discriminator(real, fake)
    objectives.generator(real, fake)
    pixels, labels = (torch.cat(parts) for parts in zip(*seen, strict=True))
    assert torch.equal(pixels, torch.cat([real.pixels, fake.pixels] * 2))
    assert torch.equal(labels, torch.cat([real.labels, fake.labels] * 2))


def test_classification_wants_a_logit_for_each_class():
    network = discriminator()
    network.projection = None
    labelled = images(4, torch.arange(4))
    with pytest.raises(UserError, match=r"logits of shape \(8,\), not \(8, 10\)"):
        Objectives(network, BinaryCrossEntropy(), 10).discriminator(labelled, labelled, classification_weight=0.1)


def test_classification_is_added_with_its_weight():
    labelled = images(20, torch.arange(20) % 10)
    objectives = Objectives(discriminator(), BinaryCrossEntropy(), 10)
    judgement = objectives.discriminator(labelled, labelled, classification_weight=0.5)
    added = judgement.loss - objectives.discriminator(labelled, labelled).loss
    assert added.item() == pytest.approx(0.5 * judgement.values["loss_classification"].item(), rel=1e-4)


def test_a_lazy_penalty_counts_as_many_times_as_it_is_left_out():
    """The loss that is logged is the adversarial one alone."""
    penalty = Penalty(lambda network, real, *rest: real.new_tensor(1.0), weight=0.5, every=3)
    objectives = Objectives(discriminator(None), BinaryCrossEntropy())
    judgement = objectives.discriminator(images(), images(), [penalty])
    assert (judgement.loss - judgement.values["loss_discriminator"]).item() == pytest.approx(1.5, abs=1e-6)


def test_the_generators_part_is_given_the_real_logits_where_it_may_read_them():
    given = []

    class Watched(BinaryCrossEntropy):
        def generator(self, real_logits, fake_logits):
            given.append(real_logits)
            return super().generator(real_logits, fake_logits)

    class Silent:
        """Says nothing of itself."""

        discriminator, generator = Watched().discriminator, Watched().generator

    for loss in (Watched(), Silent()):
        Objectives(discriminator(None), loss).generator(images(), images())
    assert given[0] is None
    assert given[1].shape == (20,)
    assert not isinstance(Silent(), AdversarialLoss)


def test_noise_has_its_standard_deviation():
    black = Images(torch.zeros(200, 1, 28, 28), None)
    assert with_noise(black, 0.25).pixels.std().item() == pytest.approx(0.25, rel=0.02)
    assert with_noise(black, None) is black


def test_one_stage_wants_one_logit_of_each_image():
    pixels, logits = torch.zeros(3, 1, 28, 28), torch.zeros(3, 1)
    with pytest.raises(UserError, match=r"logits of shape \(3, 1\) for 3 images"):
        one_stage_loss(BinaryCrossEntropy(), pixels, pixels, logits, logits, logits)


def test_pair_distance_is_between_images_of_one_class():
    pixels = torch.tensor([0.0, 5.0, 1.0, -2.0, 5.5])[:, None, None, None].expand(-1, 1, 28, 28)
    assert pair_distance(pixels, torch.tensor([1, 0, 1, 1, 0])).item() == pytest.approx((1 + 3 + 0.5) / 3)
    assert pair_distance(pixels, None).item() == pytest.approx((5 + 4 + 3 + 7.5) / 4)
    assert pair_distance(pixels, torch.arange(5)).item() == 0
    assert pair_distance(pixels[:1].half(), None).dtype == torch.float32


@pytest.mark.parametrize("one_stage", [False, True])
def test_diversity_is_taken_off_the_generators_loss_with_its_weight(one_stage):
    network, labels = discriminator(), torch.arange(20) % 10
    real, fake = images(20, labels), images(20, labels, requires_grad=True)
    judged = Images(fake.pixels.detach().requires_grad_(), labels)
    losses = {}
    for weight in (0.0, 0.5):
        objectives = Objectives(network, BinaryCrossEntropy(), 10, diversity_weight=weight)
        judgement = objectives.discriminator(real, judged)
        judged.pixels.grad = None
        judgement.loss.backward()
        if one_stage:
            losses[weight], values = objectives.one_stage(judgement, judged.pixels, fake)
        else:
            losses[weight], values = objectives.generator(real, fake)
    distance = pair_distance(fake.pixels, labels)
    assert distance > 0
    assert torch.equal(values["pair_distance"], distance)
    assert (losses[0.0] - losses[0.5]).item() == pytest.approx(0.5 * distance.item(), rel=1e-4)


def test_a_compiled_discriminator_is_penalized_uncompiled():
    """Compiled code has no second derivative."""
    network = discriminator(None)

    def compiled(*inputs):
        raise AssertionError("the compiled network was called")

    network._compiled_call_impl = compiled
    value = r1(network, torch.zeros(2, 1, 28, 28), None, torch.zeros(2, 1, 28, 28), None)
    assert value.requires_grad


@pytest.mark.parametrize("joint_batches", [False, True])
@pytest.mark.parametrize(("shared_latents", "one_stage"), [(False, False), (True, False), (True, True)])
def test_a_loss_of_just_two_methods_trains(tiny, joint_batches, shared_latents, one_stage):
    steps = (f"model.shared_latents={shared_latents}", f"model.one_stage={one_stage}")
    cfg = tiny(
        *("trainer.limit_train_batches=2", "model.discriminator.norm=false", f"model.joint_batches={joint_batches}"),
        *steps,
    )
    cfg.model.loss = {"_target_": "my_gan.TwoMethods"}
    module, trainer = fit(cfg)
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())
    assert trainer.global_step == 2 * 2


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["bce_smoothed", "hinge", "wasserstein", "relativistic"])
@pytest.mark.parametrize(("conditional", "paired"), [(False, False), (True, False), (True, True)])
def test_every_loss_with_every_penalty(tiny, loss, conditional, paired):
    module, trainer = fit(
        tiny(
            "trainer.limit_train_batches=2",
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


def test_one_stage_steps_are_finite_where_the_discriminator_has_won():
    """At a logit of -60 the gradient is that of a second pass; from about -70 on it fades, and is never NaN."""
    fake = torch.zeros(5, 1, 1, 1, requires_grad=True)
    logits = torch.tensor([-60.0, -90.0, -95.0, -104.0, -200.0])
    slopes = torch.sigmoid(logits) / 5
    loss, _ = one_stage_loss(BinaryCrossEntropy(), fake, slopes[:, None, None, None], logits, logits, slopes)
    (found,) = torch.autograd.grad(loss, fake)
    assert found.isfinite().all()
    assert found.flatten()[0].item() == pytest.approx(-1 / 5)
