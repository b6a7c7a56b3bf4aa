"""The queue and its batches."""

import asyncio

import pytest
from waiting import until

pytestmark = pytest.mark.anyio


async def test_a_flood_of_requests_is_batched_or_refused(service, metric, hold):
    async with service("queue_size=100", "max_images=64", "max_batch=64") as client:
        hold.clear()
        refused, batches = metric("gan_queue_full_total"), metric("gan_batch_images_count")
        requests = [asyncio.create_task(client.post("/v1/generate", json={}))]
        assert await asyncio.to_thread(hold.reached.wait, 20)
        requests += [
            asyncio.create_task(client.post("/v1/generate", json={"seed": n, "num_images": 2})) for n in range(200)
        ]
        await until(lambda: metric("gan_queue_full_total") - refused == 200 - 50)
        assert metric("gan_queue_images") == 100
        hold.set()
        responses = await asyncio.gather(*requests)
        codes = [response.status_code for response in responses]
        assert set(codes) == {200, 503}
        assert codes.count(503) == metric("gan_queue_full_total") - refused
        assert all(a.headers["retry-after"] == "1" for a in responses if a.status_code == 503)
        assert metric("gan_batch_images_count") - batches <= 3  # of 32 requests at most
        assert metric("gan_queue_images") == 0
        assert (await client.post("/v1/generate", json={"num_images": 64})).status_code == 200


async def test_without_batching_each_request_is_a_batch(service, metric, hold):
    async with service("max_batch=1") as client:
        before = metric("gan_batch_images_count")
        responses = await asyncio.gather(*(client.post("/v1/generate", json={"num_images": 2}) for _ in range(5)))
        assert {response.status_code for response in responses} == {200}
        assert metric("gan_batch_images_count") - before == 5
