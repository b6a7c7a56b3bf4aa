"""Samples, interpolations and links, and the sentences that refuse them."""

import asyncio
import io

import numpy as np
import pytest
from PIL import Image
from received import pixels

from gan.inference import DigitGenerator

pytestmark = pytest.mark.anyio


async def test_interpolation(service, library):
    async with service() as client:
        body = {"seeds": [5, 6, 9], "digits": [3, 8], "steps": 4}
        data = (await client.post("/v1/interpolate", json={**body, "format": "frames"})).json()
        expected = library.interpolate([5, 6, 9], [3, 8], 4).flatten(0, 1)[:, 0].numpy()
        assert np.array_equal(np.stack([pixels(frame) for frame in data["frames"]]), expected)
        animation = await client.post("/v1/interpolate", json=body)
        assert animation.headers["content-type"] == "image/gif"
        assert Image.open(io.BytesIO(animation.content)).n_frames == 7  # two paths share the frame where they meet
        assert (await client.post("/v1/interpolate", json={"seeds": [1]})).status_code == 422


async def test_directions(service, checkpoints, monkeypatch):
    monkeypatch.setattr("gan.inference.directions.NUM_IMAGES", 512)
    library = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    async with service() as client:
        body = {"digits": [7], "seed": 3, "directions": {"slant": 1.5, "thickness": 1}}
        moved = library.moved(body["directions"])
        both = [client.post("/v1/generate", json={**body, "format": "npy"}) for _ in range(2)]
        for response in await asyncio.gather(*both):
            assert np.array_equal(np.load(io.BytesIO(response.content)), moved.generate(1, [7], seed=3).numpy())
        path = {"seeds": [3, 4], "digits": [7], "steps": 2, "format": "frames", "directions": body["directions"]}
        frames = (await client.post("/v1/interpolate", json=path)).json()["frames"]
        assert np.array_equal(pixels(frames[0]), moved.generate(1, [7], seed=3)[0, 0])
        plain = (await client.post("/v1/generate", json={**body, "directions": {"slant": 0}})).json()
        assert np.array_equal(pixels(plain["images"][0]), library.generate(1, [7], seed=3)[0, 0])


async def test_a_link_is_the_image_of_the_library(service, library):
    async with service() as client:
        digit = await client.get("/v1/digits/3.png?seed=7&truncation=0.8")
        assert digit.headers["content-type"] == "image/png"
        shown = np.asarray(Image.open(io.BytesIO(digit.content)))
        assert np.array_equal(shown, library.generate(1, [3], 7, truncation=0.8)[0, 0])
        grid = await client.get("/v1/grid.png?seed=7&digits=3,1,4&num_images=6&columns=3")
        body = {"seed": 7, "digits": [3, 1, 4], "num_images": 6, "columns": 3, "format": "grid"}
        assert grid.content == (await client.post("/v1/generate", json=body)).content
        assert Image.open(io.BytesIO((await client.get("/v1/grid.png?seed=7")).content)).size == (242, 242)
        one = await client.head("/v1/digits/3.png?seed=7")
        assert (one.status_code, one.headers["content-type"]) == (200, "image/png")


async def test_a_wrong_link_is_one_sentence_even_if_the_client_has_a_copy(service):
    async with service("max_images=64") as client:
        for link, words in (
            ("/v1/digits/12.png?seed=7", "digits=[12]: digits are 0 to 9"),
            ("/v1/digits/three.png", "digit: "),
            ("/v1/digits/3.png?seed=-1", "seed: "),
            ("/v1/digits/3.png?sed=1", "sed: Extra inputs are not permitted"),
            ("/v1/grid.png?digits=3,", "digits: "),
            ("/v1/grid.png?seed=1&columns=2&columns=3", "columns: given more than once"),
            ("/v1/grid.png?num_images=65", "num_images: 65 images, at most 64 in one request"),
            ("/v1/grid.png?model=other", "model=other, version=null: no such model"),
        ):
            response = await client.get(link, headers={"If-None-Match": "*"})
            assert response.status_code == 422
            assert words in response.json()["detail"]
            assert "cache-control" not in response.headers


async def test_errors_are_one_sentence(service):
    async with service("max_images=64") as client:
        for path, body, words in (
            ("/v1/generate", {"num_images": 65}, "num_images: 65 images, at most 64 in one request"),
            ("/v1/generate", {"digits": [0] * 8, "seeds": list(range(9))}, "num_images: 72 images, at most 64"),
            ("/v1/generate", {"digits": [12]}, "digits=[12]: digits are 0 to 9"),
            ("/v1/generate", {"seed": 1, "seeds": [2]}, "give one of the two"),
            ("/v1/generate?seed=7", {}, "seed: no query parameter is read here; values go into the JSON body"),
            ("/v1/models/default/reload?wait=1", {}, "wait: no query parameter is read here"),
            ("/v1/generate", {"columns": 3, "format": "npy"}, "columns=3: only with format=grid"),
            ("/v1/generate", {"sed": 1}, "sed: Extra inputs are not permitted"),
            ("/v1/generate", {"directions": {"slnat": 1}}, "directions.slnat: Extra inputs are not permitted"),
            ("/v1/generate", {"directions": {"slant": 6}}, "directions.slant: Input should be less than or equal to 5"),
            ("/v1/generate", {"model": "other"}, "model=other, version=null: no such model; there is default ("),
            ("/v1/interpolate", {"seeds": [1, 2, 3], "steps": 64}, "steps: 128 images, at most 64"),
        ):
            response = await client.post(path, json=body)
            assert response.status_code == 422
            assert words in response.json()["detail"]
