"""What the steps of a run are, and what is kept of them."""

import pytest
import torch

from gan.averaging import AverageDecay
from gan.errors import UserError
from gan.penalties import Penalty
from gan.step_plan import Fading, LoggedStep, StepPlan

R1 = Penalty(torch.nn.functional.mse_loss, 0.5, 3)
OFF = Fading("model.instance_noise", 0.0, None)


def sequence(**changed):
    parts = {
        "discriminator_steps": 1,
        "penalties": [R1],
        "noise": OFF,
        "classification": Fading("model.classification_weight", 0.0, None),
        "average": AverageDecay(0, 0.05),
    }
    return StepPlan(**{**parts, **changed})


def test_a_penalty_is_due_every_so_many_steps():
    steps = [sequence().step(number, 16, 16 * number, [0.1, 0.2]) for number in range(8)]
    assert [bool(step.penalties) for step in steps] == [True, False, False] * 2 + [True, False]
    assert all(step.values.generator_rate == 0.1 and step.values.discriminator_rate == 0.2 for step in steps)


def test_the_generator_waits_for_the_discriminator_steps():
    trained = [sequence(discriminator_steps=3).step(number, 16, 0, [0, 0]).trains_generator for number in range(6)]
    assert trained == [False, False, True] * 2


def test_a_value_fades_in_a_straight_line_and_is_then_off():
    fading = Fading("model.instance_noise", 0.5, 1000)
    assert [fading.at(images) for images in (0, 250, 500, 1000, 2000)] == [0.5, 0.375, 0.25, None, None]
    assert Fading("model.instance_noise", 0.5, None).at(10**9) == 0.5
    assert OFF.at(0) is None


def test_values_are_those_of_the_images_seen():
    """The generator's step comes after its batch was counted."""
    values = sequence(noise=Fading("model.instance_noise", 1.0, 100), average=AverageDecay(64, 0.5))
    values = values.step(1, 16, 16, [0, 0]).values
    assert values.discriminator_noise == pytest.approx(0.84)
    assert values.generator_noise == pytest.approx(0.68)
    assert values.classification_weight is None
    assert values.ema_decay == pytest.approx(0.5 ** (16 / 16))


def test_step_plan_of_one_form_differ_in_their_values_alone():
    steps = sequence(noise=Fading("model.instance_noise", 1.0, 100))
    forms = [steps.step(number, 16, 16 * number, [0.1 / (number + 1), 0.2]).form() for number in range(8)]
    assert forms[0] == forms[3]
    assert forms[1] == forms[2] == forms[4]
    assert len(set(forms)) == 4  # with a penalty or without; from image 100 on without noise, and just before it


@pytest.mark.parametrize(("key", "value", "images"), [("noise", -1, None), ("noise", 1, 0)])
def test_impossible_values_are_refused(key, value, images):
    with pytest.raises(UserError, match=r"model\.instance_noise"):
        Fading("model.instance_noise", value, images)


def test_a_logged_step_keeps_what_was_found():
    found = {"loss": torch.tensor(0.5), "rate": 0.25}
    step = LoggedStep(3, 64, found, is_row=True)
    found["loss"].fill_(7)
    assert step.ready()
    assert (step.batch, step.images_seen, step.values()) == (3, 64, {"loss": 0.5, "rate": 0.25})
