"""Splits and batches: which images, in which order, on which rank."""

import pytest
import torch
from miniature import flat, numbers

from gan.data import EvaluationBatches, TrainingBatches, stratified_split
from gan.data.batches import required_batch
from gan.errors import UserError
from gan.randomness import derive_seed


def epoch_of(batches, epoch=0):
    batches.set_epoch(epoch)
    return [numbers(images) for images, _ in batches]


def test_order_is_a_function_of_seed_and_epoch(examples):
    one, other = TrainingBatches(*examples, 10, seed=3), TrainingBatches(*examples, 10, seed=3)
    first, second = epoch_of(one, 0), epoch_of(one, 1)
    torch.manual_seed(7)
    assert epoch_of(other, 1) == second != first
    assert epoch_of(one, 0) == first != epoch_of(TrainingBatches(*examples, 10, seed=4), 0)
    order = torch.randperm(103, generator=torch.Generator().manual_seed(derive_seed(3, 1))).tolist()
    assert flat(second) == order[:100]


def test_last_smaller_batch_is_dropped(examples):
    batches = epoch_of(TrainingBatches(*examples, 10, seed=0))
    assert [len(batch) for batch in batches] == [10] * 10
    assert len(TrainingBatches(*examples, 10, seed=0)) == 10


def test_labels_go_with_images(examples):
    for images, labels in TrainingBatches(*examples, 10, seed=0):
        assert images.shape == (10, 1, 28, 28)
        assert [number % 10 for number in numbers(images)] == labels.tolist()


def test_three_channels(examples):
    images = examples[0].expand(-1, 3, -1, -1)
    batch, _ = next(iter(TrainingBatches(images, examples[1], 10, seed=0)))
    assert batch.shape == (10, 3, 28, 28)
    assert torch.equal(batch, images[numbers(batch)])


def test_ranks_share_an_epoch(examples):
    alone = set(flat(epoch_of(TrainingBatches(*examples, 1, seed=0), 5)))
    ranks = [epoch_of(TrainingBatches(*examples, 10, seed=0, rank=rank, world_size=2), 5) for rank in range(2)]
    assert [len(batches) for batches in ranks] == [5, 5]
    seen = [set(flat(batches)) for batches in ranks]
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) == 100
    whole = [epoch_of(TrainingBatches(*examples, 1, seed=0, rank=rank, world_size=2)) for rank in range(2)]
    assert len(set(flat(whole[0] + whole[1]))) == 102
    assert alone == set(range(103))


def test_images_per_epoch_is_the_start_of_the_permutation(examples):
    whole, short = TrainingBatches(*examples, 10, seed=0), TrainingBatches(*examples, 10, seed=0, images_per_epoch=35)
    assert epoch_of(short, 2) == epoch_of(whole, 2)[:3]
    long = TrainingBatches(*examples, 10, seed=0, images_per_epoch=250)
    seen = [number for images, _ in long for number in numbers(images)]
    assert (len(seen), len(set(seen[:103])), len(set(seen[103:206]))) == (250, 103, 103)
    ranks = [TrainingBatches(*examples, 5, 0, rank, 2, images_per_epoch=40) for rank in range(2)]
    assert set(flat(epoch_of(ranks[0]) + epoch_of(ranks[1]))) == set(flat(epoch_of(whole)[:4]))


@pytest.mark.parametrize("world_size", [1, 2])
def test_stratified_batches_have_their_share_of_each_class(world_size):
    images = torch.zeros(1200, 1, 28, 28, dtype=torch.uint8)
    labels = torch.arange(4).repeat_interleave(torch.tensor([600, 300, 180, 120]))  # of 20: 10, 5, 3 and 2
    for rank in range(world_size):
        found = {}
        for how in (True, False):
            batches = TrainingBatches(images, labels, 20, 0, rank, world_size, images_per_epoch=960, stratified=how)
            found[how] = torch.stack([digits.bincount(minlength=4) for _, digits in batches])
        counts, mixed = found[True], found[False]
        share = mixed.sum(0) / len(mixed)
        assert ((counts - share).abs() < 2).all()
        assert not ((mixed - share).abs() < 2).all()


def test_stratified_batches_are_the_epochs_images_in_another_order(examples):
    plain, stratified = (
        TrainingBatches(*examples, 10, seed=0, images_per_epoch=250, stratified=how) for how in (False, True)
    )
    first = flat(epoch_of(stratified, 1))
    assert sorted(first) == sorted(flat(epoch_of(plain, 1)))
    assert first == flat(epoch_of(stratified, 1)) != flat(epoch_of(stratified, 2))
    for digit in range(10):
        own = [[number for number in order if number % 10 == digit] for order in (first, flat(epoch_of(plain, 1)))]
        assert own[0] == own[1]


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 34, 51, 500])
def test_evaluation_sees_each_image_once(examples, world_size, batch_size):
    ranks = [EvaluationBatches(*examples, batch_size, rank, world_size) for rank in range(world_size)]
    batches = [[numbers(images) for images, _ in rank] for rank in ranks]
    assert sorted(flat(flat(batches))) == list(range(103))
    assert len({len(rank) for rank in batches} | {len(rank) for rank in ranks}) == 1
    assert all(0 < len(batch) <= max(batch_size, 2) for rank in batches for batch in rank)


def test_evaluation_keeps_the_order(examples):
    batches = EvaluationBatches(*examples, 10)
    for _ in range(2):
        assert flat(numbers(images) for images, _ in batches) == list(range(103))


def test_images_of_a_loader_of_ones_own_are_checked(examples):
    images, labels = examples
    assert all(map(torch.equal, required_batch([images, labels.int()], 1, 10), examples))
    required_batch((images, labels / 2), 1, None)  # an unconditional model has no use for labels
    for batch, message in (
        ({"x": images}, r"a dict; a batch is two tensors, \(images, labels\)"),
        (images, "a Tensor; a batch is two tensors"),
        ((images / 255, labels), r"images of torch\.float32; they must be uint8"),
        ((images[..., :27], labels), r"images \[103, 1, 28, 27\]; they must be \[N, 1, 28, 28\]"),
        ((images.expand(-1, 3, -1, -1), labels), r"images \[103, 3, 28, 28\]; they must be \[N, 1, 28, 28\]"),
        ((images, labels.byte()), r"labels \[103\] of torch\.uint8; they must be int64 \[103\]"),
        ((images, labels[:, None]), r"labels \[103, 1\] of torch\.int64; they must be int64 \[103\]"),
        ((images[:0], labels[:0]), r"images \[0, 1, 28, 28\]; they must be"),
        ((images, labels[:3]), r"labels \[3\] of 103 images; each image has one"),
        ((images, labels + 1), r"labels of 1 to 10; they must be 0\.\.9"),
    ):
        with pytest.raises(UserError, match=f"the training loader gave {message}"):
            required_batch(batch, 1, 10)
    for few in (labels[:3], labels[0]):
        with pytest.raises(UserError, match=r"labels .* of 103 images; each image has one"):
            required_batch((images, few), 1, None)


@pytest.mark.parametrize("held_out", [0, 1, 7, 50, 99, 100])
def test_each_image_is_in_one_part(held_out):
    labels = torch.randint(0, 10, (100,), generator=torch.Generator().manual_seed(0))
    kept, out = stratified_split(labels, held_out)
    assert len(out) == held_out
    assert sorted(kept.tolist() + out.tolist()) == list(range(100))


def test_each_class_has_its_share():
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate((400, 200, 100, 33))])
    _, out = stratified_split(labels, 73)
    shares = torch.tensor([400, 200, 100, 33]) * 73 / 733
    assert (torch.bincount(labels[out]) - shares).abs().max() < 1
    # In random order: the first few are of several classes, though the labels came sorted.
    assert len(labels[out][:20].unique()) > 1


def test_the_same_for_everyone():
    torch.manual_seed(1)
    _, out = stratified_split(torch.arange(1000) % 10, 8)
    assert out.tolist() == [63, 312, 955, 846, 824, 970, 827, 31]
