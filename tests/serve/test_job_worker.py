"""The work on jobs: their results, and what a stop, a restart and other workers mean for them."""

import errno
import os
import zipfile
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import waiting
from job_requests import JOB, submit, until
from tiny_generators import save_checkpoint

from gan.config import compose
from gan.generate import generate
from gan.serve import job_store, job_worker

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_jobs")]


@pytest.fixture
def generated(checkpoints, tmp_path):
    """Writes the same images with `gan generate`."""

    def write(name, *overrides):
        output = f"output='{tmp_path / name}'"
        values = [f"ckpt='{checkpoints['conditional']}'", "device=cpu", "num_images=250", "digits=[3,1,4]", "seeds=7"]
        return generate(compose("generate", [*values, output, f"output_dir='{tmp_path}'", *overrides]))

    return write


async def test_a_result_is_what_the_command_writes(service, generated, tmp_path):
    async with service() as client:
        urls = {name: await submit(client, format=name) for name in ("npz", "idx", "zip")}
        for url in urls.values():
            entry = await until(client, url, "done", "failed")
            assert (entry["images_done"], entry["error"], entry["seeds"]) == (250, None, [7])
        files = {name: await client.get(f"{url}/download") for name, url in urls.items()}
        part = await client.get(f"{urls['npz']}/download", headers={"Range": "bytes=100-199"})
        head = await client.head(f"{urls['npz']}/download")
        assert len((await client.get("/v1/jobs")).json()["jobs"]) == 3
        same = await client.post("/v1/generate", json={**JOB, "format": "zip"})
    assert files["npz"].content == generated("a.npz").read_bytes()
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(files["npz"].content))
    assert (part.status_code, part.content) == (206, files["npz"].content[100:200])
    assert files["npz"].headers["content-disposition"] == 'attachment; filename="digits.npz"'
    assert files["npz"].headers["cache-control"] == "private, no-cache"
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


async def test_a_service_that_starts_again_continues_with_the_same_model(service, generated, ckpt, slow):
    served = (f"models={{default: {{ckpt: '{ckpt}', version: v1}}}}",)
    async with service(*served) as client:
        slow.seconds = 0.1
        url = await submit(client)
        first = "jobs/*/shards/images-000000000-000000099.npz"
        await waiting.until(lambda: any(ckpt.parent.glob(first)))
    (shard,) = ckpt.parent.glob(first)
    written = shard.stat().st_mtime_ns
    (shard.parent / f".images.npz.{'0' * 32}").write_bytes(b"what a kill leaves")
    save_checkpoint(ckpt, num_classes=None)
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

    def counted(*arguments):
        nonlocal working, most
        working += 1
        most = max(most, working)
        try:
            return finish(*arguments)
        finally:
            working -= 1

    finish = job_worker.finish
    monkeypatch.setattr(job_worker, "finish", counted)
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


async def test_ended_jobs_are_deleted_after_a_time(service, tmp_path):
    forgotten, young = (tmp_path / "jobs" / (32 * letter) for letter in "ab")  # of another version of the service
    for folder in (forgotten, young):
        folder.mkdir(parents=True)
        (folder / "job.json").write_text('{"num_images": 9, "format": "npz", "channels": 1, "model_bytes": 9}')
    os.utime(forgotten, (0, 0))
    async with service() as client:
        entry = await until(client, await submit(client), "done")
        assert entry["expires_at"][8:10] != entry["finished_at"][8:10]  # the next day
        (record,) = (path for path in (tmp_path / "jobs").glob("*/job.json") if path.parent != young)
        old = datetime.now(UTC) - timedelta(hours=25)
        record.write_text(record.read_text().replace(entry["finished_at"], old.isoformat()))
        await waiting.until(lambda: not forgotten.exists() and not record.exists())
        assert (await client.get("/v1/jobs")).json()["jobs"] == []
        assert (await client.get(entry["download"])).status_code == 404
    assert [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()] == [young]


async def test_a_result_is_kept_where_the_end_could_not_be_recorded_at_once(service, tmp_path, monkeypatch, caplog):
    write, refused = job_store.write_atomic, []

    def on_a_full_disk(path, content):
        if '"done"' in content and not refused:
            refused.append(path.with_name(f".job.json.{'0' * 32}"))
            refused[0].touch()  # as a worker that is killed here leaves it
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(job_store, "write_atomic", on_a_full_disk)
    async with service() as client:
        entry = await until(client, await submit(client), "done", "failed")
        assert (entry["state"], entry["error"], len(refused)) == ("done", None, 1)
        assert (await client.get(entry["download"])).status_code == 200
    assert not refused[0].exists()
    assert f"jobs_dir={tmp_path / 'jobs'}: [Errno 28] No space left on device" in caplog.messages


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
