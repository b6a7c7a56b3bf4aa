"""Rare images: those far from their class are found, whatever the threads, and come twice."""

import pytest
import torch
from miniature import ready

from gan.data.rare_images import rare_images


def clusters(outliers):
    """Two classes of 40 nearly equal images each, in turn, of which some are inverted."""
    images = torch.randint(0, 8, (80, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[outliers] = 255 - images[outliers]
    return images, torch.arange(80) % 2


def test_the_images_far_from_their_class_are_found():
    images, labels = clusters([4, 30, 7, 51])
    assert sorted(rare_images(images, labels, 0.05).tolist()) == [4, 7, 30, 51], "two of each class"
    assert len(rare_images(images, labels, 0.5)) == 40
    assert len(rare_images(images, labels, 0.0)) == 0


def test_classes_of_few_images_have_rare_ones_too():
    images, _ = clusters([0])
    assert rare_images(images[:3], torch.zeros(3, dtype=torch.int64), 0.34).tolist() == [0]
    assert rare_images(images[:1], torch.tensor([7]), 1.0).tolist() == [0]


@pytest.mark.parametrize("stratified", [True, False])
def test_rare_images_come_twice_in_training_and_once_elsewhere(data_dir, stratified):
    plain = ready(data_dir, batch_size=4)
    twice = ready(data_dir, batch_size=4, rare_share=0.5, stratified_batches=stratified)
    assert torch.equal(twice.train_images, plain.train_images)
    rare = rare_images(plain.train_images, plain.train_labels, 0.5)
    batches = twice.train_dataloader()
    assert twice.epoch_images == len(plain.train_images) + len(rare)
    assert len(batches) == twice.epoch_images // 4
    counts = torch.zeros(len(plain.train_images), dtype=torch.int64)
    places = {image.numpy().tobytes(): place for place, image in enumerate(plain.train_images)}
    for image in torch.cat([images for images, _ in batches]):
        counts[places[image.numpy().tobytes()]] += 1
    expected = torch.ones_like(counts).index_add(0, rare, torch.ones_like(rare))
    assert (expected - counts).sum() == twice.epoch_images % 4, "what is no whole batch"
    assert (counts <= expected).all()
