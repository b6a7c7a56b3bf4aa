"""Several models: shares and versions; and a model's file that is replaced while the service runs."""

import asyncio
import collections
import io
import os
import shutil

import numpy as np
import pytest
from tiny_generators import replace, save_checkpoint
from waiting import until

from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.serve import models
from gan.serve.models import Models

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_looks")]


@pytest.fixture
def two(checkpoints):
    a, b = checkpoints["conditional"], checkpoints["unconditional"]
    return f"models={{stable: {{ckpt: '{a}', version: v1}}, trial: {{ckpt: '{b}', weight: 0.25}}}}"


async def images_seen(client):
    (model,) = (await client.get("/v1/models")).json()["models"]
    return model["images_seen"]


async def until_seen(client, count):
    async def seen():
        return await images_seen(client) == count

    await until(seen)


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


async def test_requests_for_digits_go_to_models_that_can_generate_them(service, two):
    async with service(two) as client:
        for send in (
            lambda: client.post("/v1/generate", json={"digits": [3]}),
            lambda: client.post("/v1/interpolate", json={"seeds": [0, 1], "digits": [3, 8], "steps": 2}),
            lambda: client.get("/v1/digits/3.png"),
            lambda: client.post("/generate-digit", json={"digit": 3}),
        ):
            responses = [await send() for _ in range(15)]
            assert {(each.status_code, each.headers["x-model"]) for each in responses} == {(200, "stable")}


async def test_requests_for_digits_go_to_models_that_have_these(service, checkpoints, tmp_path):
    four = save_checkpoint(tmp_path / "four.ckpt", 4)
    given = f"models={{ten: {{ckpt: '{checkpoints['conditional']}'}}, four: {{ckpt: '{four}', weight: 0.5}}}}"
    async with service(given) as client:
        for digit, able in ((3, {"ten", "four"}), (7, {"ten"})):
            responses = [await client.get(f"/v1/digits/{digit}.png") for _ in range(30)]
            assert {(each.status_code, each.headers.get("x-model")) for each in responses} == {(200, n) for n in able}


async def test_a_reload_reads_the_new_file_and_keeps_the_old_model_if_the_file_is_damaged(service, ckpt):
    async with service(f"models={{a: {{ckpt: '{ckpt}'}}}}") as client:

        async def generate():
            response = await client.post("/v1/generate", json={"seed": 5})
            return response.headers["x-model-version"], response.content

        before = await generate()
        ckpt.write_bytes(b"no checkpoint")
        refused = await client.post("/v1/models/a/reload")
        assert refused.status_code == 409
        assert "The old model stays in use." in refused.json()["detail"]
        assert await generate() == before
        replace(ckpt, 640)
        entry = (await client.post("/v1/models/a/reload")).json()
        after = await generate()
        assert after[0] == entry["version"] != before[0]
        assert after[1] != before[1]
        assert (await client.post("/v1/models/b/reload")).status_code == 404
        assert (await client.post("/v1/models/..%2Fa.ckpt/reload")).status_code == 404


async def test_a_model_without_room_is_refused_and_the_old_one_stays(service, monkeypatch, caplog):
    def no_room(*_):
        raise RuntimeError("CUDA out of memory.")

    async with service() as client:
        monkeypatch.setattr(DigitGenerator, "open", no_room)
        refused = await client.post("/v1/models/default/reload")
        assert (refused.status_code, "model default: CUDA out of memory." in refused.text) == (409, True)
        assert "model default: the old one stays in use, model default: CUDA out of memory." in caplog.messages
        assert (await client.post("/v1/generate", json={"seed": 5})).status_code == 200


async def test_a_reload_does_not_interrupt(service, ckpt):
    async with service(model=ckpt) as client:
        replace(ckpt, 640)
        requests = [client.post("/v1/generate", json={"seed": seed}) for seed in range(30)]
        reloads = [client.post("/v1/models/default/reload") for _ in range(3)]
        responses = await asyncio.gather(*requests[:15], *reloads, *requests[15:])
        assert {response.status_code for response in responses} == {200}


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


async def test_new_checkpoints_are_served_without_a_failed_request(service, ckpt):
    async with service("watch=true", "cache_bytes=0", model=ckpt) as client:
        assert (await client.get("/v1/models")).json()["watch"] is True
        stop, responses = asyncio.Event(), []

        async def ask(seed):
            while not stop.is_set():
                responses.append(await client.post("/v1/generate", json={"seed": seed}))
                await asyncio.sleep(0.005)  # as a network would, it lets others run

        clients = [asyncio.create_task(ask(seed)) for seed in range(4)]
        await until(lambda: responses)
        for count in (480, 640, 960):
            replace(ckpt, count)
            await until_seen(client, count)
            enough = len(responses) + 8
            await until(lambda enough=enough: len(responses) >= enough)
        stop.set()
        await asyncio.gather(*clients)
        assert {response.status_code for response in responses} == {200}
        assert len({response.headers["x-model-version"] for response in responses}) == 4  # the first one too


async def test_a_damaged_file_is_one_line_and_the_next_good_one_is_taken(service, ckpt, caplog):
    async with service("watch=true", model=ckpt) as client:
        before = (await client.get("/v1/models")).json()
        ckpt.write_bytes(ckpt.read_bytes()[:-500])
        await until(lambda: "the old one stays in use" in caplog.text)
        ckpt.unlink()
        await asyncio.sleep(0.3)
        assert (await client.get("/v1/models")).json() == before
        assert (await client.post("/v1/generate", json={})).status_code == 200
        (line,) = [line for line in caplog.messages if "the old one stays in use" in line]
        assert line.startswith(f"model default: the old one stays in use, ckpt={ckpt}: not a readable checkpoint (")
        replace(ckpt, 640)
        await until_seen(client, 640)


async def test_an_unexpected_error_does_not_end_the_watch(service, ckpt, caplog, monkeypatch):
    async with service("watch=true", model=ckpt) as client:
        with monkeypatch.context() as patch:
            patch.setattr(DigitGenerator, "open", lambda *_: {}["a"])
            replace(ckpt, 480)
            await until(lambda: "the old one stays in use" in caplog.text)
        assert "KeyError" in caplog.text
        replace(ckpt, 640)
        await until_seen(client, 640)


async def test_a_file_that_is_still_being_copied_is_not_read(service, ckpt, caplog, monkeypatch):
    async with service("watch=true", model=ckpt) as client:
        other = ckpt.with_name("b.ckpt")
        replace(other, 640)
        content = other.read_bytes()
        monkeypatch.setattr(models, "CHECK_SECONDS", 0.2)
        with ckpt.open("wb", buffering=0) as file:
            for start in range(0, len(content), len(content) // 8):
                file.write(content[start : start + len(content) // 8])
                await asyncio.sleep(0.05)
        await until_seen(client, 640)
    assert "stays in use" not in caplog.text


async def test_the_newest_run_is_followed(service, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = save_checkpoint(tmp_path / "outputs/train/a/checkpoints/last.ckpt")
    os.utime(last, (1, 1))
    async with service("models={a: {ckpt: last}}", "watch=true") as client:
        new = save_checkpoint(tmp_path / "outputs/train/b/checkpoints/last.ckpt")
        replace(new, 640)
        await until_seen(client, 640)
        assert (await client.get("/v1/models")).json()["models"][0]["path"] == str(new)


async def test_without_watch_a_new_file_waits_for_a_reload(service, ckpt):
    async with service(model=ckpt) as client:
        replace(ckpt, 640)
        await asyncio.sleep(0.3)
        assert await images_seen(client) == 320
        assert (await client.post("/v1/models/default/reload")).json()["images_seen"] == 640
