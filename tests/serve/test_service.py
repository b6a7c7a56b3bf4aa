"""What a service shares: its images and their cache, its threads, and the turns of requests and jobs."""

import asyncio
import io
import threading

import numpy as np
import pytest
import torch
import waiting
from job_requests import submit, until

from gan import threads
from gan.inference import DigitGenerator
from gan.serve import service as service_module
from gan.serve.service import ENTRY_BYTES, ImageCache

pytestmark = pytest.mark.anyio


async def test_a_seed_gives_the_same_image_batched_alone_and_in_the_library(service, library):
    async with service() as client:

        async def generate(count, seed):
            body = {"num_images": count, "seed": seed, "digits": [seed % 10, 3], "format": "npy"}
            return np.load(io.BytesIO((await client.post("/v1/generate", json=body)).content))

        requests = [(1 + 37 * seed % 90, seed) for seed in range(24)] + [(600, 99)]
        alone = [await generate(*each) for each in requests]
        together = await asyncio.gather(*(generate(*each) for each in requests))
        for (count, seed), one, other in zip(requests, alone, together, strict=True):
            assert np.array_equal(one, other)
            assert np.array_equal(one, library.generate(count, [seed % 10, 3], seed).numpy())


async def test_replicas_give_the_same_bytes(service):
    body = {"digits": [3, 1, 4], "num_images": 40, "seed": 7, "format": "npy"}
    async with service() as one, service("max_batch=7") as other:
        first, second = await asyncio.gather(*(client.post("/v1/generate", json=body) for client in (one, other)))
    assert first.status_code == 200
    assert first.content == second.content


async def test_the_pretrained_model_gives_the_images_of_the_library(service):
    async with service("models={real: {ckpt: pretrained}}") as client:
        body = {"num_images": 300, "seed": 1, "format": "npy"}
        images = np.load(io.BytesIO((await client.post("/v1/generate", json=body)).content))
    assert np.array_equal(images, DigitGenerator.open("pretrained", device="cpu").generate(300, seed=1).numpy())


async def test_directions_that_are_found_during_an_interpolation_are_the_right_ones(service, library, monkeypatch):
    monkeypatch.setattr("gan.inference.directions.NUM_IMAGES", 512)
    reached, released = threading.Event(), threading.Event()

    def wait(module, inputs):
        if threading.current_thread().name.startswith("torch"):
            reached.set()
            assert released.wait(30)

    async with service() as client:
        generator = client.service.models.default.generator
        name = next(iter(library.directions))
        generator.network.register_forward_pre_hook(wait)
        path = asyncio.create_task(client.post("/v1/interpolate", json={"seeds": [1, 2], "digits": [3, 8]}))
        assert await asyncio.to_thread(reached.wait, 30)
        body = {"num_images": 4, "seed": 7, "directions": {name: 2}, "format": "npy"}
        moved = asyncio.create_task(client.post("/v1/generate", json=body))
        await waiting.until(lambda: "directions" in vars(generator))
        released.set()
        assert (await path).status_code == 200
        images = np.load(io.BytesIO((await moved).content))
    assert np.array_equal(images, library.moved({name: 2}).generate(4, seed=7).numpy())


async def test_a_job_is_behind_the_requests(service, hold, monkeypatch):
    monkeypatch.setattr(service_module, "MAX_WAIT_SECONDS", 60.0)
    async with service() as client:
        hold.clear()
        requests = [asyncio.create_task(client.post("/v1/generate", json={})) for _ in range(3)]
        assert await asyncio.to_thread(hold.reached.wait, 20)
        turn = asyncio.create_task(client.service.turn())
        await asyncio.sleep(0.2)
        assert not turn.done()
        hold.set()
        assert {response.status_code for response in await asyncio.gather(*requests)} == {200}
        await turn


@pytest.mark.usefixtures("quick_jobs")
async def test_a_busy_service_finishes_its_jobs(service, monkeypatch):
    monkeypatch.setattr(service_module, "MAX_WAIT_SECONDS", 0.02)
    async with service("queue_size=64", "max_images=64") as client:
        stop = asyncio.Event()

        async def ask():
            while not stop.is_set():
                await client.post("/v1/generate", json={"num_images": 64})
                await asyncio.sleep(0.005)  # as a network would, it lets others run

        clients = [asyncio.create_task(ask()) for _ in range(3)]
        await until(client, await submit(client, num_images=64), "done")
        stop.set()
        await asyncio.gather(*clients)


async def test_the_threads_of_a_worker_are_those_of_its_settings(service, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    torch.set_num_threads(2)
    async with service("threads=1"):
        assert torch.get_num_threads() == 1
    threads.forget_threads()
    torch.set_num_threads(1)


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
