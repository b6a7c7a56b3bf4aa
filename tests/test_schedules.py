"""Learning rates over a run."""

import math
import re
from types import SimpleNamespace

import pytest
import torch
from torch.optim import lr_scheduler

from gan.errors import UserError
from gan.schedules import SCHEDULES, CosineDecay, LinearDecay, Resumed, build_schedule, generator_steps


def rates(schedule_class, total_steps, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = schedule_class(optimizer, total_steps, **options)
    values = []
    for _ in range(total_steps + 2):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


def test_linear_decay():
    values = rates(LinearDecay, 10, start=0.5)
    assert values[:6] == [2.0] * 6
    assert values[6:] == pytest.approx([1.6, 1.2, 0.8, 0.4, 0.0, 0.0])


@pytest.mark.parametrize("schedule_class", [LinearDecay, CosineDecay])
@pytest.mark.parametrize("name", ["start", "end_factor"])
@pytest.mark.parametrize("share", [-0.1, 1.1, "half"])
def test_shares_are_between_0_and_1(schedule_class, name, share):
    with pytest.raises(ValueError, match=f"{name}={share}: a number, 0 or more, 1 or less"):
        rates(schedule_class, 10, **{name: share})


@pytest.mark.parametrize("schedule_class", [LinearDecay, CosineDecay])
def test_the_last_rate_is_the_one_asked_for(schedule_class):
    values = rates(schedule_class, 10, start=0.4, end_factor=0.25)
    assert values[:5] == [2.0] * 5
    assert values[7] == pytest.approx((2.0 + 0.5) / 2)  # halfway down
    assert values[10:] == pytest.approx([0.5, 0.5])


def test_cosine_decay():
    values = rates(CosineDecay, 10)
    assert values[:11] == pytest.approx([1 + math.cos(math.pi * step / 10) for step in range(11)])
    assert values[11] == pytest.approx(0.0)


OF_TORCH = {
    "ConstantLR": {},
    "CosineAnnealingLR": {"T_max": 5},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "CyclicLR": {"base_lr": 1e-4, "max_lr": 1e-3, "cycle_momentum": False},
    "ExponentialLR": {"gamma": 0.9},
    "LinearLR": {},
    "MultiStepLR": {"milestones": [2, 5]},
    "OneCycleLR": {"max_lr": 1e-3, "total_steps": None},
    "PolynomialLR": {},
    "StepLR": {"step_size": 2},
}
REFUSED = {
    "ChainedScheduler": {"schedulers": [{"_target_": "torch.optim.lr_scheduler.LinearLR"}]},
    "LRScheduler": {},
    "LambdaLR": {},
    "MultiplicativeLR": {},
    "ReduceLROnPlateau": {},
    "SequentialLR": {"schedulers": [], "milestones": []},
}


def spec_of(name, **options):
    return {"_target_": f"torch.optim.lr_scheduler.{name}", **options}


def test_each_schedule_of_torch_is_known():
    found = {name for name, kind in vars(lr_scheduler).items() if isinstance(kind, type) and name[0] != "_"}
    schedules = {name for name in found if issubclass(vars(lr_scheduler)[name], lr_scheduler.LRScheduler)}
    assert schedules == OF_TORCH.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", OF_TORCH)
def test_each_schedule_of_torch_steps_through_a_run_and_a_longer_one(name):
    """The longer one resumes the state of the first, whose length is that of the run."""
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    settings = {"generator_schedule": spec_of(name, **OF_TORCH[name]), "discriminator_schedule": None}

    def steps(count, state=None):
        optimizer = torch.optim.Adam(parameters, lr=1e-3)
        schedule = build_schedule(settings["generator_schedule"], "model.generator_schedule", (), optimizer, count)
        if state is not None:
            resumed = Resumed(settings, 10, [state], [optimizer.state_dict()] * 2)
            resumed.fit_states({"generator_schedule": schedule}, [optimizer] * 2, settings)
            schedule.load_state_dict(*resumed.states)
        for _ in range(schedule.last_epoch, count):
            optimizer.step()
            schedule.step()
        return schedule.state_dict()

    assert steps(20, steps(10))["last_epoch"] == 20


def test_a_schedule_that_differs_from_the_checkpoints_continues_as_if_it_had_begun_the_run():
    """It takes neither the other settings, nor the rate, which may be 0, nor what is of the other network."""
    then = {"generator_schedule": spec_of("ExponentialLR", gamma=0.9), "discriminator_schedule": None}
    now = {
        "generator_schedule": spec_of("StepLR", step_size=2, gamma=0.5),
        "discriminator_schedule": {"_target_": "gan.schedules.LinearDecay", "total_steps": None, "start": 0.0},
    }

    def schedules(settings):
        optimizers = [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate) for rate in (1.0, 2.0)]
        pairs = zip(settings.items(), optimizers, strict=True)
        return {key: build_schedule(spec, key, (), optimizer, 10) for (key, spec), optimizer in pairs if spec}

    (before,) = schedules(then).values()
    for _ in range(3):
        before.optimizer.step()
        before.step()
    optimizers = [{"param_groups": [{"lr": 0.0}]} for _ in SCHEDULES]
    saved = {"hyper_parameters": then, "lr_schedulers": [before.state_dict()], "optimizer_states": optimizers}
    resumed, built = Resumed.of(saved), schedules(now)
    assert resumed.steps == 3
    resumed.fit_states(built, [schedule.optimizer for schedule in built.values()], now)
    assert [group["lr"] for state in optimizers for group in state["param_groups"]] == pytest.approx([0.5, 2.0 * 0.7])
    for schedule, state in zip(built.values(), resumed.states, strict=True):
        schedule.load_state_dict(state)
        schedule.optimizer.step()
        schedule.step()
    assert [schedule.optimizer.param_groups[0]["lr"] for schedule in built.values()] == pytest.approx([0.25, 2.0 * 0.6])


def test_without_its_schedule_an_optimizer_has_the_rate_of_its_settings():
    then = {"generator_schedule": spec_of("OneCycleLR", max_lr=1.0, total_steps=None), "discriminator_schedule": None}
    optimizers = [torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.5) for _ in SCHEDULES]
    groups = [{"params": [0], "lr": 0.0, "betas": (0.9, 0.5), "max_lr": 1.0}, {"params": [0], "lr": 0.25}]
    resumed = Resumed(then, 4, [{"last_epoch": 4}], [{"param_groups": [group]} for group in groups])
    resumed.fit_states({}, optimizers, dict.fromkeys(SCHEDULES))
    assert resumed.states == []
    assert [group["lr"] for group in groups] == [0.5, 0.25]
    assert groups[0]["betas"] == (0.9, 0.999)


def test_max_steps_counts_the_steps_of_both_optimizers():
    trainer = SimpleNamespace(estimated_stepping_batches=20, max_steps=20, datamodule=None)
    assert generator_steps(trainer, None, 1) == 10  # of 10 batches
    assert generator_steps(trainer, None, 4) == 4  # of 16


@pytest.mark.parametrize("name", REFUSED)
def test_a_schedule_that_follows_no_steps_is_one_line(name):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(UserError, match=r"^model\.generator_schedule") as raised:
        build_schedule(spec_of(name, **REFUSED[name]), "model.generator_schedule", (), optimizer, 10)
    assert "\n" not in str(raised.value)
    if "schedulers" in REFUSED[name]:
        assert f"_target_=torch.optim.lr_scheduler.{name}: it combines schedulers" in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (spec_of("StepLR", step_size=0), "by zero; it was given {"),
        (spec_of("StepLR", step_size="long"), "it was given {"),
        (spec_of("CosineAnnealingLR", T_max=0), "by zero; it was given {"),
        (spec_of("ExponentialLR", gamma=-2), ": the rate after a step=-2.0: a number, 0 or more"),
        ({"_target_": "gan.schedules.LinearDecay", "total_steps": math.nan}, "total_steps=nan: a whole number, 1 or"),
        ({"_target_": "gan.schedules.CosineDecay", "total_steps": -5}, "total_steps=-5: a whole number, 1 or more"),
        ({"_target_": 5}, "_target_=5"),
    ],
)
def test_a_schedule_that_cannot_take_a_step_is_one_line_before_the_first(spec, words):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(UserError, match=re.escape(words)) as raised:
        build_schedule(spec, "model.generator_schedule", (), optimizer, 10)
    assert str(raised.value).startswith("model.generator_schedule")
    assert optimizer.param_groups[0]["lr"] == 1.0 or "rate" not in words


@pytest.mark.parametrize("total_steps", [10, None])
def test_a_schedule_of_ones_own_may_need_no_length(total_steps):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    spec = {"_target_": "my_gan.Warmup", "steps": 4}
    schedule = build_schedule(spec, "model.generator_schedule", ["my_gan"], optimizer, total_steps)
    assert schedule.get_last_lr() == [0.25]


def test_a_schedule_shorter_than_the_run_is_one_line():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    spec = spec_of("OneCycleLR", max_lr=1e-3, total_steps=5)
    with pytest.raises(UserError, match="5 steps, and the run has 10"):
        build_schedule(spec, "model.generator_schedule", (), optimizer, 10)


@pytest.mark.parametrize(("batch_size", "steps"), [(16, 4), (8, 6), (32, 3)])
def test_a_schedule_ends_with_the_run_in_whatever_batches_it_resumes(run, batch_size, steps):
    linear = "{_target_: gan.schedules.LinearDecay, start: 0.0}"
    shared = [f"model.generator_schedule={linear}", "trainer.limit_train_batches=1.0", "+data.images_per_epoch=32"]
    run(*shared, "max_images=32", "data.batch_size=16")
    overrides = ["max_images=64", "trainer.max_epochs=2", f"data.batch_size={batch_size}", "ckpt_path=auto"]
    module, _ = run(*shared, *overrides)
    schedule = module.lr_schedulers()
    assert schedule.last_epoch == steps
    assert [schedule.lr_lambdas[0](step) for step in (steps - 1, steps)] == pytest.approx([1 / steps, 0])


@pytest.mark.slow
def test_schedules_end_with_a_run_whose_epochs_have_another_length_now(run):
    """Four batches, then two epochs of two, or of six: the last rate is a step above zero."""
    linear = "model.generator_schedule={_target_: gan.schedules.LinearDecay, total_steps: null, start: 0.0}"
    quick = (linear, "model.generator_optimizer.lr=0.001", "~callbacks.measures")
    for folder, batches in (("shorter", 2), ("longer", 6)):
        run(*quick, folder=folder)
        longer = ("trainer.max_epochs=3", f"trainer.limit_train_batches={batches}", "ckpt_path=auto")
        _, metrics = run(*quick, *longer, folder=folder)
        assert metrics["train/lr_generator"] == pytest.approx(0.001 / (4 + 2 * batches))
