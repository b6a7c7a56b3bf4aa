"""Jobs: their results, their bounds, and what a stop, a restart and other workers mean for them."""

import asyncio
import os
import time
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_generators import save_checkpoint

from gan.config import compose
from gan.generate import generate
from gan.serve import jobs
from gan.serve import service as service_module

pytestmark = pytest.mark.anyio
JOB = {"num_images": 250, "digits": [3, 1, 4], "seed": 7}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(jobs, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(jobs, "SHARD", 100)


@pytest.fixture
def slow(monkeypatch):
    """Its `seconds` are what a job waits before each of its turns."""
    turn, slow = service_module.Service.turn, SimpleNamespace(seconds=0.0)

    async def slowly(self):
        await asyncio.sleep(slow.seconds)
        return await turn(self)

    monkeypatch.setattr(service_module.Service, "turn", slowly)
    return slow


@pytest.fixture
def generated(checkpoints, tmp_path):
    """Writes the same images with `gan generate`."""

    def write(name, *overrides):
        output = f"output='{tmp_path / name}'"
        values = [f"ckpt='{checkpoints['conditional']}'", "device=cpu", "num_images=250", "digits=[3,1,4]", "seeds=7"]
        return generate(compose("generate", [*values, output, f"output_dir='{tmp_path}'", *overrides]))

    return write


async def submit(client, **body):
    response = await client.post("/v1/jobs", json=JOB | body)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == response.json()["url"]
    return response.json()["url"]


async def until(client, url, *states):
    async with asyncio.timeout(30):
        while (entry := (await client.get(url)).json())["state"] not in states:
            await asyncio.sleep(0.01)
    return entry


async def test_a_result_is_what_the_command_writes(service, generated, tmp_path):
    async with service() as client:
        urls = {name: await submit(client, format=name) for name in ("npz", "idx", "zip")}
        for url in urls.values():
            entry = await until(client, url, "done", "failed")
            assert (entry["images_done"], entry["error"], entry["seeds"]) == (250, None, [7])
        files = {name: await client.get(f"{url}/download") for name, url in urls.items()}
        part = await client.get(f"{urls['npz']}/download", headers={"Range": "bytes=100-199"})
        assert len((await client.get("/v1/jobs")).json()["jobs"]) == 3
        same = await client.post("/v1/generate", json={**JOB, "format": "zip"})
    assert files["npz"].content == generated("a.npz").read_bytes()
    assert (part.status_code, part.content) == (206, files["npz"].content[100:200])
    assert files["npz"].headers["content-disposition"] == 'attachment; filename="digits.npz"'
    folder = generated("idx", "format=idx")
    for name, content in (("idx", {path.name: path.read_bytes() for path in folder.iterdir()}), ("zip", None)):
        (tmp_path / name).with_suffix(".zip").write_bytes(files[name].content)
        with zipfile.ZipFile((tmp_path / name).with_suffix(".zip")) as archive:
            found = {member: archive.read(member) for member in archive.namelist()}
        assert content is None or found == content
    assert files["zip"].content == same.content


async def test_an_unconditional_model_has_images_without_labels(service, tmp_path):
    async with service(model="unconditional") as client:
        urls = [await submit(client, digits=None, format=name, num_images=120) for name in ("npz", "idx", "zip")]
        downloads = []
        for url in urls:
            await until(client, url, "done")
            downloads.append((await client.get(f"{url}/download")).content)
    for number, content in enumerate(downloads):
        (tmp_path / f"{number}.zip").write_bytes(content)
    with np.load(tmp_path / "0.zip") as arrays:
        assert (arrays["labels"] == -1).all()
    assert zipfile.ZipFile(tmp_path / "1.zip").namelist() == ["train-images-idx3-ubyte"]
    assert zipfile.ZipFile(tmp_path / "2.zip").namelist()[119] == "000119_seed7.png"


async def test_a_service_that_starts_again_continues_with_the_same_model(service, generated, tmp_path, slow):
    path = save_checkpoint(tmp_path / "a.ckpt")
    served = (f"models={{default: {{ckpt: '{path}', version: v1}}}}",)
    async with service(*served) as client:
        slow.seconds = 0.1
        url = await submit(client)
        async with asyncio.timeout(30):
            while not 0 < (await client.get(url)).json()["images_done"] < 250:
                await asyncio.sleep(0.01)
    shard = next((tmp_path / "jobs").glob("*/shards/images-000000000-000000099.npz"))
    written = shard.stat().st_mtime_ns
    (shard.parent / f".images.npz.{'0' * 32}").write_bytes(b"what a kill leaves")
    save_checkpoint(path, num_classes=None)
    async with service(*served) as client:
        assert shard.stat().st_mtime_ns == written
        slow.seconds = 0.0
        entry = await until(client, url, "done")
        content = (await client.get(entry["download"])).content
        assert (await client.get("/v1/models")).json()["models"][0]["version"] != entry["version"]
    assert content == generated("a.npz").read_bytes()
    assert sorted(file.name for file in shard.parents[1].iterdir()) == ["digits.npz", "job.json"]


async def test_workers_share_the_jobs_and_one_works_at_a_time(service, monkeypatch):
    working, most = 0, 0

    def counted(self, *arguments):
        nonlocal working, most
        working += 1
        most = max(most, working)
        try:
            return finish(self, *arguments)
        finally:
            working -= 1

    finish = jobs.Jobs._finish
    monkeypatch.setattr(jobs.Jobs, "_finish", counted)
    async with service() as one, service() as other:
        urls = [await submit(client, seed=seed) for seed, client in enumerate((one, other, one, other))]
        ended = [(await until(one, url, "done"))["finished_at"] for url in urls]
        assert [(await other.get(url)).json()["state"] for url in urls] == ["done"] * 4
    assert most == 1
    assert ended == sorted(ended)


async def test_deleting_stops_a_job_of_another_worker(service, slow, tmp_path):
    async with service() as one, service() as other:
        slow.seconds = 0.05
        url, waiting = await submit(one), await submit(other, seed=8)
        await until(one, url, "running")
        assert (await one.get(f"{url}/download")).status_code == 409
        assert (await other.delete(waiting)).status_code == 204
        assert (await other.delete(url)).status_code == 204
        for method in ("GET", "DELETE"):
            assert (await one.request(method, url)).status_code == 404
        slow.seconds = 0.0
        assert (await one.get("/v1/jobs")).json() == {"jobs": []}
        await until(one, await submit(one, seed=9), "done")  # the worker is free again
    assert len([path for path in (tmp_path / "jobs").iterdir() if path.is_dir()]) == 1


async def test_a_job_is_behind_the_requests(service, hold, monkeypatch):
    monkeypatch.setattr(service_module, "MAX_WAIT_SECONDS", 60.0)
    async with service() as client:
        hold.clear()
        hold.reached.clear()
        requests = [asyncio.create_task(client.post("/v1/generate", json={})) for _ in range(3)]
        assert await asyncio.to_thread(hold.reached.wait, 20)
        turn = asyncio.create_task(client.service.turn())
        await asyncio.sleep(0.2)
        assert not turn.done()
        hold.set()
        assert {response.status_code for response in await asyncio.gather(*requests)} == {200}
        await turn


async def test_a_busy_service_finishes_its_jobs(service, monkeypatch):
    monkeypatch.setattr(service_module, "MAX_WAIT_SECONDS", 0.02)
    async with service("queue_size=64", "max_images=64") as client:
        stop = asyncio.Event()

        async def ask():
            while not stop.is_set():
                await client.post("/v1/generate", json={"num_images": 64})

        clients = [asyncio.create_task(ask()) for _ in range(3)]
        await until(client, await submit(client, num_images=64), "done")
        stop.set()
        await asyncio.gather(*clients)


async def test_number_and_disk_are_bounded(service, slow):
    async with service("max_jobs=2") as client:
        slow.seconds = 0.05
        await submit(client), await submit(client)
        full = await client.post("/v1/jobs", json=JOB)
        assert (full.status_code, full.headers["retry-after"]) == (503, "60")
        assert full.json()["detail"].startswith("There are 2 jobs, with those that have ended: max_jobs=2. ")
    async with service("max_jobs_gb=0.001") as client:
        for entry in (await client.get("/v1/jobs")).json()["jobs"]:
            assert (await client.delete(entry["url"])).status_code == 204
        large = await client.post("/v1/jobs", json=JOB | {"num_images": 600})
        assert large.status_code == 507
        assert "This job needs 0.00 GB on the disk" in large.json()["detail"]
        assert "max_jobs_gb=0.001" in large.json()["detail"]
        await submit(client)


async def test_ended_jobs_are_deleted_after_a_time(service, tmp_path):
    async with service() as client:
        entry = await until(client, await submit(client), "done")
        assert entry["deleted_at"][8:10] != entry["finished_at"][8:10]  # the next day
        old = time.time() - 25 * 3600
        os.utime(next((tmp_path / "jobs").glob("*/digits.npz")), (old, old))
        async with asyncio.timeout(20):
            while (await client.get("/v1/jobs")).json()["jobs"]:
                await asyncio.sleep(0.01)
        assert (await client.get(entry["download"])).status_code == 404
    assert [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()] == []


async def test_a_job_that_fails_says_why_and_the_next_one_is_done(service, slow, tmp_path):
    async with service() as client:
        slow.seconds = 0.05
        first = await submit(client)
        await until(client, first, "running")
        second, third = await submit(client), await submit(client)
        copies = sorted((tmp_path / "jobs").glob("*/model.ckpt"))
        copies[1].write_bytes(b"no checkpoint")
        slow.seconds = 0.0
        entry = await until(client, second, "failed")
        assert entry["error"].startswith(f"ckpt={copies[1]}: refused, not a checkpoint")
        assert "has failed" in (await client.get(f"{second}/download")).json()["detail"]
        await until(client, third, "done")


async def test_refusals_are_one_sentence(service, tmp_path, checkpoints):
    path = save_checkpoint(tmp_path / "a.ckpt")
    models = f"a: {{ckpt: '{path}'}}, colour: {{ckpt: '{checkpoints['colour']}'}}"
    async with service(f"models={{{models}}}", "max_job_images=1000") as client:
        for body, words in (
            ({"num_images": 1001}, "num_images: 1001 images, at most 1000 in a job"),
            ({"num_images": 0}, "num_images: Input should be greater than or equal to 1"),
            ({"digits": [12], "model": "a"}, "digits=[12]: digits are 0 to 9"),
            ({"seeds": [1]}, "give one of the two"),
            ({"model": "b"}, "model=b, version=null: no such model"),
            ({"digits": None, "model": "colour", "format": "idx"}, "format=idx: MNIST's files have one channel"),
            ({"model": "colour"}, "model colour is unconditional"),
            ({"format": "gif"}, "format: Input should be 'npz', 'idx' or 'zip'"),
        ):
            response = await client.post("/v1/jobs", json=JOB | body)
            assert (response.status_code, words in response.json()["detail"]) == (422, True), response.text
        save_checkpoint(path)
        changed = await client.post("/v1/jobs", json=JOB | {"model": "a"})
        assert changed.status_code == 409
        assert "has changed since model a was loaded from it; reload the model first." in changed.json()["detail"]
        await client.post("/v1/models/a/reload")
        await submit(client, model="a")
        assert (await client.get(f"/v1/jobs/{'0' * 32}")).status_code == 404
        assert (await client.get("/v1/jobs/..%2Fa")).status_code in (404, 422)
    async with service(f"jobs_dir='{path}'") as client:
        refused = await client.post("/v1/jobs", json=JOB)
        assert (refused.status_code, refused.json()["detail"]) == (507, f"jobs_dir={path}: File exists")
        assert (await client.get("/v1/jobs")).json() == {"jobs": []}
    async with service("jobs_dir=null") as client:
        assert (await client.post("/v1/jobs", json=JOB)).status_code == 404


async def test_a_job_is_its_keys_alone(service):
    async with service("api_keys='one-key, other-key'") as client:
        client.headers["X-API-Key"] = "one-key"
        url = await submit(client)
        client.headers["X-API-Key"] = "other-key"
        assert (await client.get(url)).status_code == 404
        assert (await client.delete(url)).status_code == 404
        assert (await client.get("/v1/jobs")).json() == {"jobs": []}
        client.headers["X-API-Key"] = "one-key"
        assert (await until(client, url, "done"))["state"] == "done"
