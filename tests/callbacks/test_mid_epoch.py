"""The rest of an epoch is its other images, whatever batch size and number of processes it resumes with."""

import shutil

import pytest
import torch

from gan.data.batches import TrainingBatches
from gan.loggers import read_rows
from gan.module import GAN

IMAGES = torch.arange(1000).view(-1, 1, 1, 1).expand(-1, 1, 28, 28).to(torch.uint8).contiguous()
LABELS = torch.arange(1000)


def shown(parts, stratified):
    """The images of an epoch that is run in parts, each of (batches or None, batch size, processes)."""
    found, done, begun = [], 0, None
    for count, batch_size, world_size in parts:
        begun = begun or (batch_size, world_size)
        for rank in range(world_size):
            batches = TrainingBatches(IMAGES, LABELS, batch_size, 7, rank, world_size, stratified=stratified)
            batches.skip(done, *begun)
            labels = [labels for _, labels in batches]
            found += labels[:count]
        done += (count or 0) * batch_size * world_size
    return torch.cat(found)


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize(
    "parts",
    [
        [(7, 20, 1), (None, 30, 1)],
        [(7, 30, 1), (None, 20, 1)],
        [(5, 20, 2), (None, 20, 1)],
        [(5, 20, 1), (3, 12, 3), (None, 25, 2)],
        [(5, 20, 1), (3, 20, 1), (None, 20, 1)],
    ],
)
def test_no_image_comes_twice_and_few_are_left_out(parts, stratified):
    found = shown(parts, stratified)
    assert len(found.unique()) == len(found)
    assert len(found) > 1000 - sum(size * processes for _, size, processes in parts)


def test_an_unchanged_run_continues_the_same_order():
    for stratified in (False, True):
        assert torch.equal(shown([(7, 20, 1), (None, 20, 1)], stratified), shown([(None, 20, 1)], stratified))
        both = [(3, 20, 2), (None, 20, 2)]
        assert shown(both, stratified).sort().values.equal(shown([(None, 20, 2)], stratified).sort().values)


@pytest.mark.slow
def test_a_run_that_resumes_with_another_batch_size_trains_on_the_rest(run, tmp_path, monkeypatch):
    """With batches of 600 no batch is left of the 1,200 images, and the next epoch begins."""
    seen, step = [], GAN.training_step
    monkeypatch.setattr(GAN, "training_step", lambda self, *given: (seen.append(given[0][0]), step(self, *given))[1])
    whole = ("trainer.limit_train_batches=1.0", "trainer.max_epochs=100", "~callbacks.measures")
    run(*whole, "data.batch_size=60", "max_images=900", folder="20")
    shutil.copytree(tmp_path / "20", tmp_path / "600")
    begun = list(seen)
    for batch_size, images_seen, of_epoch in ((20, 1200, 1200), (600, 1500, 900)):
        seen[:] = begun
        changed = (f"data.batch_size={batch_size}", f"max_images={images_seen}", "ckpt_path=auto")
        module, _ = run(*whole, *changed, folder=str(batch_size))
        assert module.images_seen == images_seen
        epoch = torch.cat(seen)[:of_epoch]
        assert len(epoch.flatten(1).unique(dim=0)) >= len(epoch) - 20  # a few of the small digits are equal


@pytest.mark.slow
def test_an_epoch_that_became_shorter_than_what_was_done_of_it_ends(run, tmp_path, monkeypatch):
    seen, step = [], GAN.training_step
    monkeypatch.setattr(GAN, "training_step", lambda self, *given: (seen.append(given[0][0]), step(self, *given))[1])
    whole = ("trainer.limit_train_batches=1.0", "trainer.max_epochs=100")
    run(*whole, "data.images_per_epoch=160", "max_images=144")
    run(*whole, "data.images_per_epoch=96", "max_images=240", "ckpt_path=auto")
    rows = read_rows(tmp_path / "run" / "metrics.csv")
    assert [int(row["images_seen"]) for row in rows if row["val/fid_mnist"]] == [144, 240]
    second = torch.cat(seen)[144:]
    assert len(second) == 96
    assert len(second.flatten(1).unique(dim=0)) >= 95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "images_seen", "line"),
    [
        ("data.seed=5", 128, "changed     data.seed=5, was 0; some images of this epoch come twice, others not at all"),
        ("data.val_size=900", 128, "changed     training images=600, was 1200; some images"),
        ("trainer.limit_train_batches=2", 64, None),
        ("trainer.limit_train_batches=1", 48, None),
    ],
)
def test_another_order_is_told_and_a_lower_limit_ends_the_epoch(run, tmp_path, caplog, changed, images_seen, line):
    caplog.set_level("INFO", "gan")
    run("~callbacks.measures", "max_images=32")
    module, _ = run("~callbacks.measures", "ckpt_path=auto", "trainer.max_epochs=2", changed)
    assert module.images_seen == images_seen
    told = [text for text in caplog.messages if text.startswith("changed") and "max_images" not in text]
    assert [text.startswith(line) for text in told] == [True] * bool(line)
