"""Every config of every group composes and runs."""

import math
from pathlib import Path

import pytest
from documented import narrow
from hydra.errors import HydraException
from miniature import write_mnist
from omegaconf import OmegaConf
from tiny_runs import FAST, NARROW, TINY

from gan.config import CONFIG_DIR, compose, instantiate
from gan.train import train

pytestmark = pytest.mark.slow

BCE = {"_target_": "gan.losses.BinaryCrossEntropy"}
SMOOTHED = {**BCE, "label_smoothing": 0.1}
LOSSES = {
    "bce": BCE,
    "bce_smoothed": SMOOTHED,
    "hinge": {"_target_": "gan.losses.Hinge", "leak": 0.0},
    "wasserstein": {"_target_": "gan.losses.Wasserstein"},
    "relativistic": {"_target_": "gan.losses.Relativistic"},
}


def names(group):
    return sorted(path.stem for path in Path(CONFIG_DIR, group).glob("*.yaml"))


def choices(group):
    return [f"{group}={name}" for name in names(group)]


def plain(node):
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def weights(cfg):
    return {name: penalty.weight for name, penalty in cfg.model.penalties.items() if penalty.weight}


@pytest.mark.parametrize("model", names("model"))
def test_model_runs_an_epoch(tiny, model):
    channels = ["data.source._target_=three_channels.ThreeDigits"] if model == "stacked" else []
    short = ("trainer.limit_train_batches=1", "~callbacks.plots")
    choice = f"model={model}"
    _, metrics = train(tiny(choice, *narrow([choice]), *channels, *short, narrow=False))
    assert metrics["images_seen"] == 16


@pytest.mark.parametrize("model", names("model"))
def test_each_loss_is_one_choice_with_every_model(model):
    choice = f"model={model}"
    own, small = weights(compose("train", [choice, "loss=bce"])), [choice, *narrow([choice])]
    brings = {"wasserstein": {"wgan_gp": 10.0}, "relativistic": {"r1": 0.3, "r2": 0.3}}
    assert names("loss") == sorted(LOSSES)
    for loss, published in LOSSES.items():
        cfg = compose("train", [*small, f"loss={loss}"])
        in_one_stage = model in ("conditional", "stacked")
        leak = {"leak": 0.1} if loss == "hinge" and in_one_stage else {}  # such steps need a slope
        assert plain(cfg.model.loss) == {**published, **leak}
        assert weights(cfg) == {**brings.get(loss, {}), **own}
        assert type(instantiate(cfg.model).objectives.loss).__name__ == published["_target_"].rpartition(".")[2]


@pytest.mark.parametrize("loss", names("loss"))
def test_each_loss_trains_the_conditional_model(run, loss):
    short = ("trainer.limit_train_batches=1", "model=conditional", *narrow(["model=conditional"]))
    module, _ = run(f"loss={loss}", *short, narrow=False)
    assert module.images_seen == 16


def test_a_loss_is_swept_over(gan, tmp_path):
    code, _, error = gan(
        "train", "--multirun", "sweep_name=s", "loss=hinge,wasserstein", *TINY, *NARROW, *FAST, "trainer.max_epochs=0"
    )
    assert code == 0, error
    jobs = [OmegaConf.load(tmp_path / f"outputs/multirun/s/{job}/.hydra/config.yaml") for job in (0, 1)]
    assert [job.model.loss["_target_"] for job in jobs] == ["gan.losses.Hinge", "gan.losses.Wasserstein"]
    assert [weights(job) for job in jobs] == [{}, {"wgan_gp": 10.0}]


def test_the_long_form_of_a_loss():
    hinge = ["model.loss._target_=gan.losses.Hinge", "+model.loss.leak=0.1"]
    assert plain(compose("train", ["model=conditional", *hinge]).model.loss) == {**LOSSES["hinge"], "leak": 0.1}
    assert plain(compose("train", ["model=dcgan", "loss=bce", *hinge]).model.loss) == {**LOSSES["hinge"], "leak": 0.1}


def test_an_experiment_names_its_loss_and_the_command_line_another(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: dcgan\n  - override /loss: relativistic\n"
    )
    mine = compose("train", ["experiment=mine"], [tmp_path])
    assert (plain(mine.model.loss), weights(mine)) == (LOSSES["relativistic"], {"r1": 0.3, "r2": 0.3})
    assert plain(compose("train", ["experiment=mine", "loss=hinge"], [tmp_path]).model.loss) == LOSSES["hinge"]
    assert plain(compose("train", ["experiment=mine", "model=stacked", "loss=bce"], [tmp_path]).model.loss) == BCE
    smoothed = compose("train", ["experiment=mine", "model=stacked", "loss=bce_smoothed"], [tmp_path]).model.loss
    assert plain(smoothed) == SMOOTHED


def test_a_loss_of_ones_own_is_a_choice_as_well(tmp_path):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "least_squares.yaml").write_text(
        "# @package model\nloss:\n  _target_: my_gan.LeastSquares\npenalties:\n  r1: {weight: 2.0}\n"
    )
    own = compose("train", ["model=dcgan", "loss=least_squares"], [tmp_path])
    assert plain(own.model.loss) == {"_target_": "my_gan.LeastSquares"}
    assert plain(own.model.penalties.r1) == {"_target_": "gan.penalties.r1", "weight": 2.0, "every": 16}
    with pytest.raises(HydraException, match="least_square'"):
        compose("train", ["loss=least_square"], [tmp_path])


@pytest.mark.parametrize(
    ("experiment", "max_images", "images_per_epoch"),
    [
        ("quick", 144_000, 48_000),
        ("quick", 160_000, 53_344),
        ("quick", 204_800, 51_200),
        ("quick", 1000, 48_000),
        ("quick", None, 48_000),
        ("best_cpu", 832_000, 104_000),
        ("best_cpu", 1_280_000, 106_688),
        ("best_gpu", 1_040_000, 104_064),
        ("stacked_mnist", 500_000, 50_016),
        ("stacked_mnist", 400_000, 50_016),
    ],
)
def test_equal_epochs_make_up_the_budget(experiment, max_images, images_per_epoch):
    budget = f"max_images={'null' if max_images is None else max_images}"
    assert compose("train", [f"experiment={experiment}", budget]).data.images_per_epoch == images_per_epoch


@pytest.mark.parametrize("experiment", ["quick", "best_cpu", "best_gpu", "stacked_mnist"])
def test_a_published_budget_is_whole_epochs_and_their_length_can_be_chosen(experiment):
    published = compose("train", [f"experiment={experiment}"])
    batches = math.ceil(published.max_images / published.data.batch_size)
    in_epoch = published.data.images_per_epoch // published.data.batch_size
    assert batches % in_epoch in (0, *range(in_epoch - 10, in_epoch)), "no epoch of a few batches at the end"
    assert compose("train", [f"experiment={experiment}", "data.images_per_epoch=7"]).data.images_per_epoch == 7


def test_what_is_counted_in_images_is_stretched_over_the_budget():
    quick, best = (compose("train", [f"experiment={name}", "max_images=1000"]).model for name in ("quick", "best_cpu"))
    assert (quick.max_images, quick.classification_images, quick.ema_half_life) == (1000, 850, 50)
    assert (best.max_images, best.classification_images, best.ema_half_life) == (1000, 850, 25)
    endless = compose("train", ["model=conditional"]).model
    assert (endless.max_images, endless.classification_images, endless.ema_half_life) == (None, None, 5000)


@pytest.mark.parametrize(
    "choice", [*choices("experiment"), *choices("trainer"), *choices("callbacks"), *choices("logger")]
)
def test_run_configs_run_an_epoch(tiny, choice, tmp_path):
    channels = ["data.source._target_=three_channels.ThreeDigits"] if choice == "experiment=stacked_mnist" else []
    small = ("data.val_size=300", "trainer.limit_train_batches=1", "~callbacks.plots")
    train(tiny(choice, *narrow([choice]), *small, *channels, narrow=False))
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    alone = choice.startswith("logger=") and choice != "logger=csv"
    assert (tmp_path / "run" / "metrics.csv").is_file() != alone


@pytest.mark.parametrize("data", names("data"))
def test_data_runs_an_epoch(tiny, tmp_path, data):
    folder = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}.get(data, "MNIST")
    write_mnist(tmp_path / "data" / folder / "raw", train=200, test=60)
    channels = 3 if data == "stacked_mnist" else 1
    small = (
        f"data.dir='{tmp_path / 'data'}'",
        "data.val_size=50",
        f"model.image_channels={channels}",
        "trainer.limit_train_batches=1",
        "~callbacks.plots",
    )
    module, _ = train(tiny(f"data={data}", *small))
    assert module.images_seen == 16


@pytest.mark.parametrize("choice", choices("hardware"))
def test_hardware_composes(choice):
    assert compose("train", [choice]).trainer.devices


@pytest.mark.parametrize(
    "choice", ["hardware=auto", "hardware=cpu", pytest.param("hardware=gpu", marks=pytest.mark.cuda)]
)
def test_hardware_that_is_here_runs(tiny, choice):
    train(tiny(choice, "~callbacks.plots", "callbacks.samples=null"))


@pytest.mark.process  # compilers
def test_debug_compile_and_profiler(tiny, tmp_path, monkeypatch):
    """Of two steps the first one has a penalty."""
    from torch._inductor import config

    monkeypatch.setattr(config, "compile_threads", 1)  # others are processes, which import torch first
    r1 = ("model.penalties.r1.weight=1", "model.penalties.r1.every=2", "trainer.limit_train_batches=2")
    one_layer = (
        "model=dcgan_compact",
        "model.generator.channels=[8]",
        "model.generator.layers=[{kernel_size: 4, stride: 4, transposed: true}]",
        "model.discriminator.channels=[8]",
        "model.discriminator.layers=[{kernel_size: 4, stride: 4}]",
    )
    train(tiny("experiment=debug", "compile=true", "trainer.profiler=simple", "~callbacks.plots", *r1, *one_layer))
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


def test_every_config_says_what_it_is_for():
    for path in Path(CONFIG_DIR).rglob("*.yaml"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
        assert lines[0].startswith("# "), path
