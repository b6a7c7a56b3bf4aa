"""Latents by index."""

import pytest
import torch

from gan.randomness import BLOCK, balanced_labels, derive_seed, latents, slerp, truncate


def test_any_range_is_a_slice_of_the_whole():
    whole = latents(seed=3, start=0, stop=1000, latent_dim=5)
    for start, stop in ((0, 1), (255, 257), (256, 512), (700, 1000), (9, 9)):
        assert torch.equal(latents(3, start, stop, 5), whole[start:stop])


@pytest.mark.parametrize("latent_dim", [1, 2, 3, 7, 64, 100])
def test_a_row_does_not_depend_on_how_many_are_drawn(latent_dim):
    whole = latents(4, 0, 2 * BLOCK, latent_dim)
    for stop in (1, 2, 15, 16, 17, 31, 100, BLOCK - 1, BLOCK + 1):
        assert torch.equal(latents(4, 0, stop, latent_dim), whole[:stop])


def test_standard_normal_and_different_by_seed():
    values = latents(0, 0, 20_000, 4)
    assert abs(values.mean().item()) < 0.02
    assert abs(values.std().item() - 1) < 0.02
    assert not torch.equal(values[:10], latents(1, 0, 10, 4))


def test_seeds_of_different_purposes_differ():
    seeds = {derive_seed(seed, epoch, rank) for seed in range(5) for epoch in range(5) for rank in range(5)}
    seeds |= {derive_seed(seed, epoch) for seed in range(5) for epoch in range(5)} | {derive_seed(2**32)}
    assert len(seeds) == 125 + 25 + 1
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_labels_are_balanced_in_each_batch_and_over_all():
    device = torch.device("cpu")
    counts = torch.stack([balanced_labels(13, 10, device).bincount(minlength=10) for _ in range(1000)])
    assert counts.unique().tolist() == [1, 2]
    assert torch.allclose(counts.float().mean(0), torch.tensor(1.3), atol=0.1)


@pytest.mark.parametrize("latent_dim", [1, 64])
def test_a_path_has_its_very_ends_and_no_longer_latents(latent_dim):
    start, end = latents(0, 0, 100, latent_dim), latents(1, 0, 100, latent_dim)
    path = slerp(start, end, steps=7)
    assert torch.equal(path[:, 0], start)
    assert torch.equal(path[:, -1], end)
    longest = torch.maximum(start.norm(dim=1), end.norm(dim=1))
    assert (path.norm(dim=2) <= 1.1 * longest.unsqueeze(1)).all()


def test_a_path_keeps_the_length_of_its_ends():
    start, end = torch.tensor([[3.0, 0, 0]]), torch.tensor([[0.0, 3, 0]])
    points = slerp(start, end, steps=5)
    torch.testing.assert_close(points.norm(dim=2), torch.full((1, 5), 3.0))
    torch.testing.assert_close(points[0, 2], torch.tensor([4.5, 4.5, 0]).sqrt())
    torch.testing.assert_close(slerp(start, start, steps=3), start.expand(1, 3, 3))


def test_latents_do_not_depend_on_a_callers_defaults():
    expected = latents(3, 0, 20, 5)
    near, path = truncate(expected, 1.0), slerp(expected[:10], expected[10:], steps=4)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            drawn, none = latents(3, 0, 20, 5), latents(3, 0, 0, 5)
            assert torch.equal(truncate(drawn, 1.0), near)
            assert torch.equal(slerp(drawn[:10], drawn[10:], steps=4), path)
            assert balanced_labels(4, 3, torch.device("cpu")).device.type == "cpu"
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(drawn, expected)
    assert (none.dtype, none.device.type) == (torch.float32, "cpu")
