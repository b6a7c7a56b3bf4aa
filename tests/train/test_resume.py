"""A run that was interrupted, between two epochs or in the middle of one, ends as if it had not been."""

import csv
import json
import math
import shutil
from types import SimpleNamespace

import pytest
import torch
from joblib import cpu_count
from lightning.pytorch.callbacks import timer

from gan.checkpoint_files import write_checkpoint
from gan.module import GAN

pytestmark = pytest.mark.slow


STEP_SCHEDULE = "{_target_: torch.optim.lr_scheduler.StepLR, step_size: 3, gamma: 0.5}"


SYSTEM_A = (
    "experiment=system_a",
    "data=digits",
    "logger=[csv]",
    f"model.generator_schedule={STEP_SCHEDULE}",
    f"model.discriminator_schedule={STEP_SCHEDULE}",
    "model.ema_half_life=50",
    "model.instance_noise_images=200",
    "data.val_size=300",
)


@pytest.fixture
def whole(shared, run):
    """The folder of two epochs of System A without a break, which tests read and leave as it is."""

    def fill(kept):
        _, metrics = run(*SYSTEM_A, "trainer.max_epochs=2", f"output_dir='{kept}'")
        (kept / "metrics.json").write_text(json.dumps(metrics))

    return shared("system_a", fill)


def checkpoint(tmp_path, folder):
    return torch.load(tmp_path / folder / "checkpoints" / "last.ckpt", weights_only=True)


def rows(tmp_path, folder):
    with open(tmp_path / folder / "metrics.csv", encoding="utf-8") as file:
        timed = ("train/images_per_second",)
        return [{key: value for key, value in row.items() if key not in timed} for row in csv.DictReader(file)]


def assert_equal(first, second, where=""):
    """Bit by bit, through dictionaries and lists."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_equal(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_equal(*pair, f"{where}[{index}]")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    else:
        assert first == second, where


def test_two_epochs_are_one_and_a_resumed_one(run, whole, tmp_path):
    """System A with its dropout and noise, and a step schedule: resumed in another folder, and in its own."""
    whole_module = GAN.load_from_checkpoint(whole / "checkpoints" / "last.ckpt")
    whole_metrics = json.loads((whole / "metrics.json").read_text())
    run(*SYSTEM_A, "trainer.max_epochs=1", folder="half")
    first = tmp_path / "half" / "checkpoints" / "last.ckpt"
    moved, moved_metrics = run(*SYSTEM_A, "trainer.max_epochs=2", f"ckpt_path='{first}'", folder="moved")
    again, again_metrics = run(*SYSTEM_A, "trainer.max_epochs=2", "ckpt_path=auto", folder="half")

    expected = checkpoint(whole.parent, whole.name)
    for folder, module, metrics in (("moved", moved, moved_metrics), ("half", again, again_metrics)):
        actual = checkpoint(tmp_path, folder)
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "images_seen"):
            assert_equal(expected[part], actual[part], part)
        assert_equal(whole_module.state_dict(), module.state_dict())
        for name in whole_metrics.keys() - {"train/images_per_second"}:
            assert whole_metrics[name] == metrics[name] or math.isnan(whole_metrics[name]), name
    undisturbed = rows(whole.parent, whole.name)
    assert rows(tmp_path, "half") == undisturbed
    assert rows(tmp_path, "moved") == [row for row in undisturbed if row["epoch"] == "1"]


def test_init_from_takes_the_weights_alone(run, trained):
    path = trained("unconditional") / "checkpoints" / "last.ckpt"
    first = GAN.load_from_checkpoint(path)
    quick = ("~callbacks.measures", "trainer.limit_train_batches=1")
    second, _ = run(f"init_from='{path}'", *quick, "model.generator_optimizer.lr=0")
    for name, parameter in first.generator.named_parameters():
        assert torch.equal(parameter, second.generator.get_parameter(name))
    assert second.images_seen == 16


def test_a_run_that_resumes_reads_no_weights_to_start_from_and_takes_threads_up_to_the_cores(run, begun, monkeypatch):
    path = begun / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    write_checkpoint(path, {**content, "threads": 10_000})
    settled = []
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("gan.train.resume.settle_threads", lambda threads: settled.append(threads))
    module, _ = run("~callbacks.measures", "init_from=deleted.ckpt", "ckpt_path=auto", "trainer.max_epochs=2")
    assert module.images_seen == 128
    assert settled == [cpu_count()]


@pytest.fixture
def shown(monkeypatch):
    """The images of each batch that a GAN was trained on, as they come; to Lightning's Timer each takes a second."""
    batches, step = [], GAN.training_step

    def recorded(module, batch, batch_idx):
        batches.append(batch[0].clone())
        return step(module, batch, batch_idx)

    monkeypatch.setattr(GAN, "training_step", recorded)
    monkeypatch.setattr(timer, "time", SimpleNamespace(monotonic=lambda: float(len(batches))))
    return batches


LINEAR = "{_target_: gan.schedules.LinearDecay, total_steps: null, start: 0.0}"


def test_an_epoch_that_was_cut_short_resumes_with_the_rest_of_it(run, tmp_path, shown):
    settings = ("trainer.max_epochs=2", f"model.generator_schedule={LINEAR}", "~callbacks.measures")
    settings += ("callbacks.checkpoints.every_n_epochs=1",)
    run(*settings, folder="whole")
    expected = list(shown)
    for folder, stop in {"time": "trainer.max_time=00:00:00:06", "images": "max_images=96"}.items():
        shown.clear()
        cut, _ = run(*settings, stop, folder=folder)
        assert cut.images_seen == 96
        kept = tmp_path / folder / "checkpoints"
        assert [path.name for path in kept.glob("epoch_*.ckpt")] == ["epoch_0001.ckpt"]
        again, metrics = run(*settings, "ckpt_path=auto", folder=folder)
        assert again.images_seen == 128
        assert (kept / "epoch_0002.ckpt").is_file()
        assert metrics["train/lr_generator"] == pytest.approx(2e-4 / 8)  # that of the last of eight steps
        assert_equal(expected, shown)
        assert checkpoint(tmp_path, folder)["epoch"] == checkpoint(tmp_path, "whole")["epoch"]


def test_a_run_whose_only_epoch_was_cut_short_is_not_done(run, shown):
    run("~callbacks.measures", "trainer.max_time=00:00:00:02")
    run("~callbacks.measures", "ckpt_path=auto", "trainer.max_time=00:00:00:03")
    module, _ = run("~callbacks.measures", "ckpt_path=auto")
    assert (module.images_seen, len(shown)) == (64, 4)
    assert len({batch.sum().item() for batch in shown}) == 4


def test_a_run_that_was_cut_short_ends_as_an_undisturbed_one(run, whole, tmp_path, shown):
    """Bit for bit, with the dropout, noise and labels of the rest of the epoch; `metrics.csv` has a validation more."""
    shown.clear()
    run(*SYSTEM_A, "trainer.max_epochs=2", "trainer.max_time=00:00:00:06", folder="cut")
    assert checkpoint(tmp_path, "cut")["images_seen"] == 96
    run(*SYSTEM_A, "trainer.max_epochs=2", "ckpt_path=auto", folder="cut")
    expected, actual = checkpoint(whole.parent, whole.name), checkpoint(tmp_path, "cut")
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "images_seen"):
        assert_equal(expected[part], actual[part], part)
    undisturbed = rows(whole.parent, whole.name)
    extra = [row for row in rows(tmp_path, "cut") if row not in undisturbed]
    assert [(row["images_seen"], bool(row["val/fid_mnist"])) for row in extra] == [("96", True)]
    assert len(rows(tmp_path, "cut")) == len(undisturbed) + 1


def test_the_rest_of_an_epoch_has_noise_of_its_own(run, tmp_path, shown, monkeypatch):
    """Also after a checkpoint of an older version, without the states of the random number generators."""
    states, step = [], GAN.training_step
    monkeypatch.setattr(
        GAN, "training_step", lambda module, *rest: (states.append(torch.get_rng_state()), step(module, *rest))[1]
    )
    run("~callbacks.measures", "trainer.max_time=00:00:00:02")
    shutil.copytree(tmp_path / "run", tmp_path / "older")
    state = checkpoint(tmp_path, "older")
    del state["random_states"]
    torch.save(state, tmp_path / "older" / "checkpoints" / "last.ckpt")
    of_first = len(states)
    for folder in ("run", "older"):
        del states[of_first:]
        run("~callbacks.measures", "ckpt_path=auto", folder=folder)
        assert len({bytes(state) for state in states}) == len(states) == 4


def test_between_two_epochs_a_checkpoint_needs_no_random_states(begun, tmp_path):
    assert "random_states" not in checkpoint(tmp_path, "run")


def test_max_time_ends_with_a_checkpoint_and_is_used_up(run, tmp_path, shown, caplog):
    caplog.set_level("INFO", "gan")
    _, measured = run("trainer.max_time=00:00:00:03")
    assert any("trainer.max_time is used up" in line for line in caplog.messages)
    summary = tmp_path / "run" / "summary.json"
    before = summary.read_bytes(), (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    assert json.loads(before[0])["images_seen"] == checkpoint(tmp_path, "run")["images_seen"] == 48
    module, metrics = run("trainer.max_time=00:00:00:03", "ckpt_path=auto")
    assert "trainer.max_time=00:00:00:03 is used up" in caplog.messages[-1]
    assert module.images_seen == 48
    assert metrics.keys() == measured.keys()
    assert (summary.read_bytes(), (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()) == before


def test_a_resumed_run_says_what_changed(run, begun, tmp_path, caplog):
    caplog.set_level("INFO", "gan")
    changed = ("model.instance_noise=0.25", "model.penalties.r1.every=3")
    run("~callbacks.measures", "ckpt_path=auto", "trainer.max_epochs=2", *changed)
    assert sorted(line for line in caplog.messages if line.startswith("changed")) == [
        "changed     model.instance_noise=0.25, was 0.1",
        "changed     model.penalties.r1.every=3, was 16",
    ]


def test_a_longer_run_takes_its_first_step_at_the_rate_of_its_new_schedule(run, tmp_path):
    settings = (f"model.generator_schedule={LINEAR}", "~callbacks.measures", "model.discriminator_steps=2")
    run(*settings)
    run(*settings, "trainer.max_epochs=2", "ckpt_path=auto")
    rates = [float(row["train/lr_generator"]) for row in rows(tmp_path, "run") if row["train/lr_generator"]]
    assert rates == pytest.approx([2e-4, 1e-4, 1e-4, 5e-5])  # two steps of two, then the last two of four


def test_a_run_that_resumes_with_another_one_cycle_schedule_has_its_rates(run, tmp_path):
    def one_cycle(max_lr):
        target = f"_target_: torch.optim.lr_scheduler.OneCycleLR, total_steps: null, max_lr: {max_lr}"
        return ("~callbacks.measures", f"model.generator_schedule={{{target}}}")

    run("~callbacks.measures", folder="constant")
    constant = tmp_path / "constant" / "checkpoints" / "last.ckpt"
    run(*one_cycle(1e-3), "trainer.max_epochs=2", f"ckpt_path='{constant}'", folder="other")
    run(*one_cycle(1e-3))
    run(*one_cycle(1e-2), "trainer.max_epochs=2", "ckpt_path=auto")
    for folder, max_lr in (("other", 1e-3), ("run", 1e-2)):
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
        schedule, rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr, total_steps=8), []
        for _ in range(8):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        found = [float(row["train/lr_generator"]) for row in rows(tmp_path, folder) if row["train/lr_generator"]]
        assert found[-4:] == pytest.approx(rates[4:])
    (tmp_path / "run" / "summary.json").unlink()
    run(*one_cycle(1e-2), "ckpt_path=auto")
    assert (tmp_path / "run" / "summary.json").is_file()
