"""Several models: shares, versions and reloads."""

import asyncio
import collections
import io
import shutil

import numpy as np
import pytest
from tiny_generators import replace, save_checkpoint

from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.serve.models import Models

pytestmark = pytest.mark.anyio


@pytest.fixture
def two(checkpoints):
    a, b = checkpoints["conditional"], checkpoints["unconditional"]
    return f"models={{stable: {{ckpt: '{a}', version: v1}}, trial: {{ckpt: '{b}', weight: 0.25}}}}"


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
        replace(path, 640)
        entry = (await client.post("/v1/models/a/reload")).json()
        after = await generate()
        assert after[0] == entry["version"] != before[0]
        assert after[1] != before[1]
        assert (await client.post("/v1/models/b/reload")).status_code == 404
        assert (await client.post("/v1/models/..%2Fa.ckpt/reload")).status_code == 404


async def test_a_model_without_room_is_refused_and_the_old_one_stays(service, tmp_path, monkeypatch, caplog):
    def no_room(*_):
        raise RuntimeError("CUDA out of memory.")

    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:
        monkeypatch.setattr(DigitGenerator, "open", no_room)
        refused = await client.post("/v1/models/a/reload")
        assert (refused.status_code, "model a: CUDA out of memory." in refused.text) == (409, True)
        assert "model a: the old one stays in use, model a: CUDA out of memory." in caplog.messages
        assert (await client.post("/v1/generate", json={"seed": 5})).status_code == 200


async def test_a_reload_does_not_interrupt(service, tmp_path):
    path = save_checkpoint(tmp_path / "a.ckpt")
    async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:
        replace(path, 640)
        requests = [client.post("/v1/generate", json={"seed": seed}) for seed in range(30)]
        reloads = [client.post("/v1/models/a/reload") for _ in range(3)]
        responses = await asyncio.gather(*requests[:15], *reloads, *requests[15:])
        assert {response.status_code for response in responses} == {200}


async def test_other_workers_follow_a_reload(settings, tmp_path, monkeypatch):
    from gan.serve import models
    from gan.serve.service import Service

    monkeypatch.setattr(models, "CHECK_SECONDS", 0.01)
    path = save_checkpoint(tmp_path / "a.ckpt")
    shared = tmp_path / "shared"
    shared.mkdir()
    read = settings(f"models={{a: {{ckpt: '{path}'}}}}")
    first, second = Service(read, shared), Service(read, shared)
    async with first.running(), second.running():
        old = second.models.default.version
        replace(path, 640)
        new = (await first.models.reload("a")).version
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


@pytest.mark.slow
async def test_an_exported_file_is_served(service, files, trained):
    body = {"digits": [3, 1, 4], "seed": 7, "format": "npy"}
    paths = {"ckpt": trained("conditional") / "checkpoints" / "last.ckpt"}
    paths |= {ending: files["conditional", ending] for ending in ("safetensors", "onnx")}
    images = {}
    for ending, path in paths.items():
        async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:
            response = await client.post("/v1/generate", json=body)
            images[ending] = np.load(io.BytesIO(response.content)).astype(int)
    assert np.array_equal(images["ckpt"], images["safetensors"])
    assert np.abs(images["ckpt"] - images["onnx"]).max() <= 1
