"""The cache of seeded requests."""

import pytest
import torch

from gan.serve.cache import ENTRY_BYTES, ImageCache

pytestmark = pytest.mark.anyio


def images(value, count=1):
    return torch.full((count, 1, 28, 28), value, dtype=torch.uint8)


def test_the_least_recently_used_images_are_dropped():
    entry = 784 + ENTRY_BYTES
    cache = ImageCache(3 * entry)
    for value in range(3):
        cache.put(value, images(value))
    assert torch.equal(cache.get(0), images(0))
    cache.put(3, images(3))
    assert cache.get(1) is None
    assert [key for key in range(4) if cache.get(key) is not None] == [0, 2, 3]
    assert cache.bytes == 3 * entry
    cache.put("large", images(0, 100))
    assert cache.get("large") is None
    cache.put("two", images(0, 2))
    assert cache.bytes <= cache.max_bytes
    cache.put(3, images(3))
    assert torch.equal(cache.get(3), images(3))


def test_a_cached_image_does_not_keep_its_batch_in_memory():
    cache = ImageCache(10**6)
    cache.put("one of many", images(0, 256)[:1])
    assert cache.get("one of many").untyped_storage().nbytes() == 784
    off = ImageCache(0)
    off.put(0, images(0))
    assert off.get(0) is None


async def test_a_seeded_request_is_generated_once(service, metric):
    async with service() as client:

        async def generated(path, body):
            before = metric("gan_images_total"), metric("gan_cache_lookups_total", outcome="hit")
            response = await client.post(path, json=body)
            assert response.status_code == 200
            hits = metric("gan_cache_lookups_total", outcome="hit") - before[1]
            return response, metric("gan_images_total") - before[0], hits

        for path, body, count in (
            ("/v1/generate", {"seed": 1, "num_images": 3}, 3),
            ("/v1/generate", {"seeds": [1, 2], "digits": [3], "truncation": 0.7}, 2),
            ("/generate-digit", {"seed": 5, "digit": 4}, 1),
            ("/v1/interpolate", {"seeds": [1, 2], "steps": 3}, 3),
        ):
            first, second = await generated(path, body), await generated(path, body)
            assert (first[1:], second[1:]) == ((count, 0), (0, 1))
            assert first[0].content == second[0].content
        other = await generated("/v1/generate", {"seed": 1, "num_images": 3, "truncation": 0.7})
        assert other[1:] == (3, 0)
        seeds = {"num_images": 2, "digits": [3, 4, 5], "seeds": [1, 2, 3]}
        assert (await generated("/v1/generate", seeds))[1:] == (2, 0)
        unused = await generated("/v1/generate", seeds | {"digits": [3, 4, 6], "seeds": [1, 2, 9, 9]})
        assert unused[1:] == (0, 1)  # the memory that the seeds of an entry take is bounded by its images
        misses = metric("gan_cache_lookups_total", outcome="miss")
        for path in ("/generate", "/generate/image", "/generate-digit", "/v1/generate"):
            assert [(await generated(path, {}))[1:] for _ in range(2)] == [(1, 0)] * 2
        assert metric("gan_cache_lookups_total", outcome="miss") == misses
        assert metric("gan_cache_bytes") == client.service._cache.bytes > 0
