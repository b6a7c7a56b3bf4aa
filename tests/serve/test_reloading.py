"""A model's file that is replaced while the service runs."""

import asyncio
import os
import time

import pytest
from tiny_generators import replace, save_checkpoint

from gan.inference import DigitGenerator
from gan.serve import models
from gan.serve.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(models, "CHECK_SECONDS", 0.02)


async def images_seen(client):
    (model,) = (await client.get("/v1/models")).json()["models"]
    return model["images_seen"]


async def until_seen(client, count):
    async with asyncio.timeout(20):
        while await images_seen(client) != count:
            await asyncio.sleep(0.01)


async def test_new_checkpoints_are_served_without_a_failed_request(service, tmp_path):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}", "watch=true", "cache_bytes=0") as client:
        assert (await client.get("/v1/models")).json()["watch"] is True
        stop, responses = asyncio.Event(), []

        async def ask(seed):
            while not stop.is_set():
                responses.append(await client.post("/v1/generate", json={"seed": seed}))
                await asyncio.sleep(0.005)  # as a network would, it lets others run

        clients = [asyncio.create_task(ask(seed)) for seed in range(4)]
        while not responses:
            await asyncio.sleep(0.01)
        for count in (480, 640, 960):
            replace(path, count)
            await until_seen(client, count)
            enough = len(responses) + 8
            while len(responses) < enough:
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*clients)
        assert {response.status_code for response in responses} == {200}
        assert len({response.headers["x-model-version"] for response in responses}) == 4  # the first one too


async def test_a_damaged_file_is_one_line_and_the_next_good_one_is_taken(service, tmp_path, caplog):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}", "watch=true") as client:
        before = (await client.get("/v1/models")).json()
        path.write_bytes(path.read_bytes()[:-500])
        async with asyncio.timeout(20):
            while "the old one stays in use" not in caplog.text:
                await asyncio.sleep(0.01)
        path.unlink()
        await asyncio.sleep(0.3)
        assert (await client.get("/v1/models")).json() == before
        assert (await client.post("/v1/generate", json={})).status_code == 200
        (line,) = [line for line in caplog.messages if "the old one stays in use" in line]
        assert line.startswith(f"model a: the old one stays in use, models.a.ckpt={path}: not a readable checkpoint (")
        replace(path, 640)
        await until_seen(client, 640)


async def test_an_unexpected_error_does_not_end_the_watch(service, tmp_path, caplog, monkeypatch):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}", "watch=true") as client:
        with monkeypatch.context() as patch:
            patch.setattr(DigitGenerator, "open", lambda *_: {}["a"])
            replace(path, 480)
            async with asyncio.timeout(20):
                while "the old one stays in use" not in caplog.text:
                    await asyncio.sleep(0.01)
        assert "KeyError" in caplog.text
        replace(path, 640)
        await until_seen(client, 640)


async def test_a_reload_that_outlasts_its_request_reaches_all_workers(settings, tmp_path, monkeypatch):
    path = save_checkpoint(tmp_path / "a.ckpt")
    service = Service(settings(f"models={{a: {{ckpt: '{path}'}}}}"), tmp_path)
    async with service.running():
        replace(path, 640)
        read = DigitGenerator.open
        monkeypatch.setattr(DigitGenerator, "open", lambda *args: time.sleep(0.3) or read(*args))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await service.models.reload("a")
        async with asyncio.timeout(20):
            while not (tmp_path / "a.reload").exists():
                await asyncio.sleep(0.01)
        assert service.models.default.info["images_seen"] == 640


async def test_a_file_that_is_still_being_copied_is_not_read(service, tmp_path, caplog, monkeypatch):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}", "watch=true") as client:
        replace(tmp_path / "b.ckpt", 640)
        content = (tmp_path / "b.ckpt").read_bytes()
        monkeypatch.setattr(models, "CHECK_SECONDS", 0.2)
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(content), len(content) // 8):
                file.write(content[start : start + len(content) // 8])
                await asyncio.sleep(0.05)
        await until_seen(client, 640)
    assert "stays in use" not in caplog.text


async def test_the_newest_run_is_followed(service, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = save_checkpoint(tmp_path / "outputs/train/a/checkpoints/last.ckpt")
    os.utime(last, (1, 1))
    async with service("models={a: {ckpt: last}}", "watch=true") as client:
        new = save_checkpoint(tmp_path / "outputs/train/b/checkpoints/last.ckpt")
        replace(new, 640)
        await until_seen(client, 640)
        assert (await client.get("/v1/models")).json()["models"][0]["path"] == str(new)


async def test_without_watch_a_new_file_waits_for_a_reload(service, tmp_path):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:
        replace(path, 640)
        await asyncio.sleep(0.3)
        assert await images_seen(client) == 320
        assert (await client.post("/v1/models/a/reload")).json()["images_seen"] == 640
