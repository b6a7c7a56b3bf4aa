"""Liveness and readiness."""

import asyncio

import pytest

from gan.serve.batching import Batcher

pytestmark = pytest.mark.anyio


async def test_probes_of_a_service_that_is_draining(service, monkeypatch):
    async with service() as client:
        assert ((await client.get("/livez")).status_code, (await client.get("/readyz")).status_code) == (200, 200)
        client.service.draining = True
        refused = await client.get("/readyz")
        assert (refused.status_code, refused.json()["detail"]) == (503, "The service is draining.")
        assert (await client.get("/livez")).status_code == 200
        assert (await client.post("/v1/generate", json={})).status_code == 200


async def test_a_service_whose_batching_has_stopped_is_not_alive(service, monkeypatch):
    async def stopped(self):
        return

    monkeypatch.setattr(Batcher, "run", stopped)
    async with service() as client:
        await asyncio.sleep(0)
        assert (await client.get("/livez")).status_code == 503
