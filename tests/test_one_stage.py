"""One-stage steps, which take the generator's gradient from the discriminator's pass."""

import copy

import pytest
import torch
from composed_runs import ONE_STAGE, ClippedNorms, fit, same
from lightning import Callback

from gan.config import instantiate


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
