"""The cache of seeded requests, and the links that clients may keep."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from test_models import save_other_weights
from tiny_generators import save_checkpoint

from gan.inference import DigitGenerator
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


async def test_a_link_is_the_image_of_the_library(service, checkpoints):
    library = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    async with service() as client:
        digit = await client.get("/v1/digits/3.png?seed=7&truncation=0.8")
        assert digit.headers["content-type"] == "image/png"
        shown = np.asarray(Image.open(io.BytesIO(digit.content)))
        assert np.array_equal(shown, library.generate(1, [3], 7, truncation=0.8)[0, 0])
        grid = await client.get("/v1/grid.png?seed=7&digits=3,1,4&num_images=6&columns=3")
        body = {"seed": 7, "digits": [3, 1, 4], "num_images": 6, "columns": 3, "format": "grid"}
        assert grid.content == (await client.post("/v1/generate", json=body)).content
        assert Image.open(io.BytesIO((await client.get("/v1/grid.png?seed=7")).content)).size == (242, 242)
        one = await client.head("/v1/digits/3.png?seed=7")
        assert (one.status_code, one.headers["content-type"]) == (200, "image/png")


async def test_a_link_may_be_kept_for_ever_with_the_version_and_until_a_reload_without(service, tmp_path):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}', version: v1}}}}") as client:

        async def get(link, **headers):
            response = await client.get(
                link, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
            assert response.status_code in (200, 304)
            return response

        plain = await get("/v1/digits/3.png?seed=7")
        etag, version = plain.headers["etag"], plain.headers["x-model-version"]
        assert plain.headers["cache-control"] == "public, no-cache"
        assert version in etag
        pinned = await client.get("/v1/digits/3.png", params={"seed": 7, "version": version})
        assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert pinned.content == plain.content
        assert (await get("/v1/digits/3.png?seed=7&version=v1")).headers["cache-control"] == "public, no-cache"
        for link in ("/v1/digits/3.png?seed=7", "/v1/grid.png?seed=7"):
            for named in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
                current = await get(link, if_none_match=named)
                assert (current.status_code, current.content) == (304, b"")
                assert (current.headers["etag"], current.headers["cache-control"]) == (etag, "public, no-cache")
            assert (await get(link, if_none_match='"other"')).status_code == 200
        random = [await get("/v1/digits/3.png", if_none_match=etag) for _ in range(2)]
        assert random[0].content != random[1].content
        assert {(each.headers["cache-control"], "etag" in each.headers) for each in random} == {("no-store", False)}

        save_other_weights(path)
        await client.post("/v1/models/a/reload")
        new = await get("/v1/digits/3.png?seed=7", if_none_match=etag)
        assert new.status_code == 200
        assert new.content != plain.content
        gone = await client.get(
            "/v1/digits/3.png", params={"seed": 7, "version": version}, headers={"If-None-Match": etag}
        )
        assert (gone.status_code, "no such model" in gone.json()["detail"]) == (422, True)


async def test_shared_caches_keep_nothing_that_needs_a_key(service):
    async with service("api_keys=key") as client:
        assert (await client.get("/v1/digits/3.png?seed=7")).status_code == 401
        response = await client.get("/v1/digits/3.png?seed=7", headers={"X-API-Key": "key"})
        assert response.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("/v1/digits/12.png?seed=7", "digits=[12]: digits are 0 to 9"),
        ("/v1/digits/three.png", "digit: "),
        ("/v1/digits/3.png?seed=-1", "seed: "),
        ("/v1/digits/3.png?sed=1", "sed: Extra inputs are not permitted"),
        ("/v1/grid.png?digits=3,", "digits: "),
        ("/v1/grid.png?num_images=65", "num_images: 65 images, at most 64 in one request"),
        ("/v1/grid.png?model=other", "model=other, version=null: no such model"),
    ],
)
async def test_a_wrong_link_is_one_sentence_even_if_the_client_has_a_copy(service, link, words):
    async with service("max_images=64") as client:
        response = await client.get(link, headers={"If-None-Match": "*"})
        assert response.status_code == 422
        assert words in response.json()["detail"]
        assert "cache-control" not in response.headers
