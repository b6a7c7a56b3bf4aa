"""The formats of images, and the headers that say which model generated them and how long they may be kept."""

import io
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image
from received import pixels
from tiny_generators import replace

pytestmark = pytest.mark.anyio


async def test_formats_hold_the_same_images(service, library):
    async with service() as client:
        body = {"digits": [3, 1], "seeds": [7, 8], "truncation": 0.8}
        response = await client.post("/v1/generate", json=body)
        data = response.json()
        expected = np.concatenate([library.generate(2, [3, 1], seed, truncation=0.8) for seed in (7, 8)])
        assert np.array_equal(np.stack([pixels(image) for image in data["images"]]), expected[:, 0])
        assert (data["digits"], data["seed"], data["seeds"], data["num_images"]) == ([3, 1, 3, 1], None, [7, 8], 4)
        version = library.info()["version"]
        assert (data["model"], data["version"]) == ("default", version)
        headers = {name: response.headers[name] for name in ("x-model", "x-model-version", "x-seed")}
        assert headers == {"x-model": "default", "x-model-version": version, "x-seed": "7,8"}

        archive = await client.post("/v1/generate", json={**body, "format": "zip"})
        with zipfile.ZipFile(io.BytesIO(archive.content)) as found:
            assert found.namelist() == [
                f"{index:06d}_seed{seed}_digit{digit}.png"
                for index, (seed, digit) in enumerate([(7, 3), (7, 1), (8, 3), (8, 1)])
            ]
            first = Image.open(io.BytesIO(found.read(found.namelist()[0])))
            assert np.array_equal(np.asarray(first), expected[0, 0])
        grid = await client.post("/v1/generate", json={**body, "format": "grid", "columns": 4})
        assert Image.open(io.BytesIO(grid.content)).size == (4 * 30 + 2, 32)


async def test_colour_images(service):
    async with service(model="colour") as client:
        data = (await client.post("/v1/generate", json={"num_images": 2})).json()
        assert pixels(data["images"][0]).shape == (28, 28, 3)


async def test_a_link_may_be_kept_for_ever_with_the_version_and_until_a_reload_without(service, ckpt):
    async with service(f"models={{a: {{ckpt: '{ckpt}', version: v1}}}}") as client:

        async def get(link, named=""):
            response = await client.get(link, headers={"If-None-Match": named})
            assert response.status_code in (200, 304)
            return response

        plain = await get("/v1/digits/3.png?seed=7")
        etag, version = plain.headers["etag"], plain.headers["x-model-version"]
        assert plain.headers["cache-control"] == "public, no-cache"
        assert version in etag
        named_twice = httpx.Headers([("If-None-Match", '"other"'), ("If-None-Match", etag)])
        assert (await client.get("/v1/digits/3.png?seed=7", headers=named_twice)).status_code == 304
        pinned = await client.get("/v1/digits/3.png", params={"seed": 7, "version": version})
        assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert pinned.content == plain.content
        assert (await get("/v1/digits/3.png?seed=7&version=v1")).headers["cache-control"] == "public, no-cache"
        for link in ("/v1/digits/3.png?seed=7", "/v1/grid.png?seed=7"):
            for named in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
                current = await get(link, named)
                assert (current.status_code, current.content) == (304, b"")
                assert (current.headers["etag"], current.headers["cache-control"]) == (etag, "public, no-cache")
            assert (await get(link, '"other"')).status_code == 200
        random = [await get("/v1/digits/3.png", etag) for _ in range(2)]
        assert random[0].content != random[1].content
        assert {(each.headers["cache-control"], "etag" in each.headers) for each in random} == {("no-store", False)}

        replace(ckpt, 640)
        await client.post("/v1/models/a/reload")
        new = await get("/v1/digits/3.png?seed=7", etag)
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
