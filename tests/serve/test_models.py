"""Several models: shares, versions and reloads."""

import asyncio
import collections
import shutil

import pytest
import torch
from tiny_generators import save_checkpoint

from gan import threads
from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.serve.models import Models
from gan.serve.schemas import SampleRequest
from gan.serve.settings import ModelSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def two(checkpoints):
    a, b = checkpoints["conditional"], checkpoints["unconditional"]
    return f"models={{stable: {{ckpt: '{a}', version: v1}}, trial: {{ckpt: '{b}', weight: 0.25}}}}"


def save_other_weights(path):
    """Writes a checkpoint with other weights."""
    checkpoint = torch.load(save_checkpoint(path), weights_only=True)
    checkpoint["state_dict"] = {name: value + 0.1 for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint, path)
    return path


async def test_a_share_of_the_requests_goes_to_the_second_model(service, two):
    async with service(two) as client:
        listed = (await client.get("/v1/models")).json()
        assert listed["default"] == "stable"
        assert [(model["name"], model["share"]) for model in listed["models"]] == [("stable", 0.75), ("trial", 0.25)]
        responses = [await client.post("/v1/generate", json={"seed": 1}) for _ in range(60)]
        counts = collections.Counter(response.headers["x-model"] for response in responses)
        assert counts["stable"] > counts["trial"] > 0
        versions = {model["name"]: model["version"] for model in listed["models"]}
        assert all(versions[a.headers["x-model"]] == a.headers["x-model-version"] for a in responses)


async def test_a_named_model_or_version_is_used(service, two):
    async with service(two) as client:
        for named in ({"model": "trial"}, {"model": "stable"}, {"version": "v1"}):
            responses = [await client.post("/v1/generate", json={**named, "seed": 5}) for _ in range(8)]
            assert {a.headers["x-model"] for a in responses} == {named.get("model", "stable")}
            assert len({a.content for a in responses}) == 1
        stable = (await client.get("/v1/models")).json()["models"][0]
        assert stable["version"].startswith("v1+")
        full = {"model": "stable", "version": stable["version"]}
        assert (await client.post("/v1/generate", json=full)).status_code == 200
        wrong = await client.post("/v1/generate", json={"model": "trial", "version": "v1"})
        assert (wrong.status_code, "no such model" in wrong.json()["detail"]) == (422, True)


def test_a_request_names_a_version_in_full_whatever_its_label():
    label = "v" * 64
    version = ModelSettings(ckpt="a.ckpt", version=label).version
    assert SampleRequest(version=f"{version}+0123456789ab").version.startswith(label)


async def test_a_reload_reads_the_new_file_and_keeps_the_old_model_if_the_file_is_damaged(service, tmp_path):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:

        async def generate():
            response = await client.post("/v1/generate", json={"seed": 5})
            return response.headers["x-model-version"], response.content

        before = await generate()
        path.write_bytes(b"no checkpoint")
        refused = await client.post("/v1/models/a/reload")
        assert refused.status_code == 409
        assert "The old model stays in use." in refused.json()["detail"]
        assert await generate() == before
        save_other_weights(path)
        entry = (await client.post("/v1/models/a/reload")).json()
        after = await generate()
        assert after[0] == entry["version"] != before[0]
        assert after[1] != before[1]
        assert (await client.post("/v1/models/b/reload")).status_code == 404
        assert (await client.post("/v1/models/..%2Fa.ckpt/reload")).status_code == 404


async def test_a_model_without_room_is_refused_and_the_old_one_stays(service, tmp_path, monkeypatch):
    def no_room(*_):
        raise RuntimeError("CUDA out of memory.")

    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:
        monkeypatch.setattr(DigitGenerator, "open", no_room)
        refused = await client.post("/v1/models/a/reload")
        assert (refused.status_code, "model a: CUDA out of memory." in refused.text) == (409, True)
        await client.service.reloads.take("a")  # as a watched file does: a line in the log
        assert (await client.post("/v1/generate", json={"seed": 5})).status_code == 200


async def test_the_threads_of_a_worker_are_those_of_its_settings(service, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    torch.set_num_threads(2)
    async with service("threads=1"):
        assert torch.get_num_threads() == 1
    threads.forget_threads()
    torch.set_num_threads(1)


async def test_a_reload_does_not_interrupt(service, tmp_path):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:
        save_other_weights(path)
        requests = [client.post("/v1/generate", json={"seed": seed}) for seed in range(30)]
        reloads = [client.post("/v1/models/a/reload") for _ in range(3)]
        responses = await asyncio.gather(*requests[:15], *reloads, *requests[15:])
        assert {response.status_code for response in responses} == {200}


async def test_other_workers_follow_a_reload(settings, tmp_path, monkeypatch):
    from gan.serve import reloading
    from gan.serve.service import Service

    monkeypatch.setattr(reloading, "CHECK_SECONDS", 0.01)
    path = save_checkpoint(tmp_path / "a.ckpt")
    shared = tmp_path / "shared"
    shared.mkdir()
    read = settings(f"models={{a: {{ckpt: '{path}'}}}}")
    first, second = Service(read, shared), Service(read, shared)
    async with first.running(), second.running():
        old = second.models.default.version
        save_other_weights(path)
        new = (await first.reloads.reload("a")).version
        async with asyncio.timeout(20):
            while second.models.default.version == old:
                await asyncio.sleep(0.01)
        assert second.models.default.version == new != old


def test_weights_must_sum_to_one(settings, checkpoints):
    file = checkpoints["conditional"]
    shutil.copy(file, file.with_name("b.ckpt"))
    for weights, words in (
        (("null", "1.5"), "models.b.weight=1.5"),
        (("0.9", "0.3"), "the others leave 0.7 for a"),
    ):
        models = ", ".join(f"{n}: {{ckpt: '{file}', weight: {w}}}" for n, w in zip("ab", weights, strict=True))
        with pytest.raises(UserError, match=words):
            settings(f"models={{{models}}}")
    with pytest.raises(UserError, match=r"models\.a\.ckpt=nowhere.ckpt: there is no file"):
        Models(settings("models={a: {ckpt: nowhere.ckpt}}"))
