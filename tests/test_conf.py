"""Every config of every group composes and runs."""

from pathlib import Path

import pytest
from miniature import write_mnist

from gan.config import CONFIG_DIR, compose
from gan.train import train

pytestmark = pytest.mark.slow


def names(group):
    return sorted(path.stem for path in Path(CONFIG_DIR, group).glob("*.yaml"))


def choices(group):
    return [f"{group}={name}" for name in names(group)]


@pytest.mark.parametrize("model", names("model"))
def test_model_runs_an_epoch(tiny, model):
    published = compose("train", [f"model={model}"]).model
    width, depth = len(published.generator.channels), len(published.discriminator.channels)
    _, metrics = train(
        tiny(
            f"model={model}",
            "model.latent_dim=8",
            f"model.generator.channels={[8] * width}",
            f"model.discriminator.channels={[8] * depth}",
            "~callbacks.plots",
            narrow=False,
        )
    )
    assert metrics["images_seen"] == 64


def test_what_is_counted_in_images_is_stretched_over_the_budget():
    quick, best = (compose("train", [f"experiment={name}", "max_images=1000"]).model for name in ("quick", "best_cpu"))
    assert (quick.max_images, quick.classification_images, quick.ema_half_life) == (1000, 850, 25)
    assert best == quick
    endless = compose("train", ["model=conditional"]).model
    assert (endless.max_images, endless.classification_images, endless.ema_half_life) == (None, None, 5000)


@pytest.mark.parametrize(
    "choice", [*choices("experiment"), *choices("trainer"), *choices("callbacks"), *choices("logger")]
)
def test_run_configs_run_an_epoch(tiny, choice, tmp_path):
    channels = ["data.source._target_=three_channels.ThreeDigits"] if choice == "experiment=stacked_mnist" else []
    small = ("data.val_size=300", "trainer.limit_train_batches=1", "~callbacks.plots")
    train(tiny(choice, *small, *channels, narrow=not choice.startswith("experiment=")))
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    alone = choice.startswith("logger=") and choice != "logger=csv"
    assert (tmp_path / "run" / "metrics.csv").is_file() != alone


@pytest.mark.parametrize("data", names("data"))
def test_data_runs_an_epoch(tiny, tmp_path, data):
    folder = "FashionMNIST" if data == "fashion_mnist" else "MNIST"
    write_mnist(tmp_path / "data" / folder / "raw", train=200, test=60)
    channels = 3 if data == "stacked_mnist" else 1
    small = (
        f"data.dir='{tmp_path / 'data'}'",
        "data.val_size=50",
        f"model.image_channels={channels}",
        "~callbacks.plots",
    )
    module, _ = train(tiny(f"data={data}", *small))
    assert module.images_seen == 64


@pytest.mark.parametrize("choice", choices("hardware"))
def test_hardware_composes(choice):
    assert compose("train", [choice]).trainer.devices


@pytest.mark.parametrize(
    "choice", ["hardware=auto", "hardware=cpu", pytest.param("hardware=gpu", marks=pytest.mark.cuda)]
)
def test_hardware_that_is_here_runs(tiny, choice):
    train(tiny(choice, "~callbacks.plots", "callbacks.samples=null"))


@pytest.mark.parametrize("penalty", [0, 1])
def test_debug_compile_and_profiler(tiny, tmp_path, penalty):
    r1 = f"model.penalties.r1.weight={penalty}"
    small = ("model=dcgan_compact", "model.generator.channels=[8,8]", "model.discriminator.channels=[8,8]")
    train(tiny("experiment=debug", "compile=true", "trainer.profiler=simple", "~callbacks.plots", r1, *small))
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


def test_every_config_says_what_it_is_for():
    for path in Path(CONFIG_DIR).rglob("*.yaml"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
        assert lines[0].startswith("# "), path
