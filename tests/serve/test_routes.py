"""The images of the endpoints, and the fields and formats of their responses."""

import asyncio
import base64
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan.config import compose
from gan.export import export
from gan.inference import DigitGenerator

pytestmark = pytest.mark.anyio


def pixels(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.fixture
def library(checkpoints):
    return DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")


async def test_the_first_published_service(service):
    async with service() as client:
        overview = (await client.get("/")).json()
        assert overview.keys() >= {"name", "endpoints"}
        assert overview["endpoints"]["POST /v1/models/{name}/reload"].startswith("Reads the model's file again.")
        assert (await client.get("/health")).json() == {"status": "healthy", "model_loaded": True}
        info = (await client.get("/info")).json()
        assert list(info) == ["model_name", "latent_dim", "num_parameters", "checkpoint_epoch", "device"]
        assert (info["latent_dim"], info["checkpoint_epoch"], info["device"]) == (8, 5, "cpu")
        response = (await client.post("/generate", json={"num_images": 3})).json()
        assert list(response) == ["images", "num_images", "latent_dim"]
        assert [pixels(image).shape for image in response["images"]] == [(28, 28)] * 3
        image = await client.post("/generate/image")
        assert image.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(image.content)).size == (28, 28)
        assert (await client.get("/docs")).status_code == 200


async def test_the_second_published_service(service, library):
    async with service() as client:
        response = (await client.post("/generate-digit", json={"digit": 7, "seed": 3})).json()
        fields = ["success", "image", "format", "size", "requested_digit", "seed", "note"]
        assert list(response) == fields
        assert [response[name] for name in fields[2:6]] == ["base64_png", "28x28", 7, 3]
        assert "generated a 7, as requested" in response["note"]
        assert np.array_equal(pixels(response["image"]), library.generate(1, [7], seed=3)[0, 0])
        grid = (await client.post("/generate-digits-batch", json={"batch_size": 5, "grid": True})).json()
        assert list(grid) == ["success", "image", "format", "batch_size", "layout"]
        batch = (await client.post("/generate-digits-batch", json={"batch_size": 5})).json()
        assert list(batch) == ["success", "images", "format", "batch_size", "count"]
        assert len(batch["images"]) == batch["count"] == 5
        assert (await client.post("/generate-digits-batch", json={"batch_size": 65})).status_code == 422
        info = (await client.get("/gan-model-info")).json()
        assert info["total_parameters"] == info["trainable_parameters"] == library.info()["total_parameters"]
        assert (info["noise_dimension"], info["output_size"], info["output_channels"]) == (8, "28x28", 1)


async def test_an_unconditional_model_says_that_it_cannot_choose_the_digit(service):
    async with service(model="unconditional") as client:
        response = (await client.post("/generate-digit", json={"digit": 7, "seed": 3})).json()
        assert response["requested_digit"] == 7
        assert "cannot generate a 7 on request" in response["note"]
        refused = await client.post("/v1/generate", json={"digits": [7]})
        assert refused.status_code == 422
        assert "model default is unconditional" in refused.json()["detail"]
        assert (await client.post("/v1/generate", json={"num_images": 2})).json()["digits"] is None


async def test_a_seed_gives_the_same_image_batched_alone_and_in_the_library(service, library):
    async with service() as client:

        async def generate(count, seed):
            body = {"num_images": count, "seed": seed, "digits": [seed % 10, 3], "format": "npy"}
            return np.load(io.BytesIO((await client.post("/v1/generate", json=body)).content))

        requests = [(1 + 37 * seed % 90, seed) for seed in range(24)] + [(600, 99)]
        alone = [await generate(*each) for each in requests]
        together = await asyncio.gather(*(generate(*each) for each in requests))
        for (count, seed), one, other in zip(requests, alone, together, strict=True):
            assert np.array_equal(one, other)
            assert np.array_equal(one, library.generate(count, [seed % 10, 3], seed).numpy())


async def test_replicas_give_the_same_bytes(service):
    body = {"digits": [3, 1, 4], "num_images": 40, "seed": 7, "format": "npy"}
    async with service() as one, service("max_batch=7") as other:
        first, second = await asyncio.gather(*(client.post("/v1/generate", json=body) for client in (one, other)))
    assert first.status_code == 200
    assert first.content == second.content


async def test_the_pretrained_model_gives_the_images_of_the_library(service):
    async with service("models={real: {ckpt: pretrained}}") as client:
        body = {"num_images": 300, "seed": 1, "format": "npy"}
        images = np.load(io.BytesIO((await client.post("/v1/generate", json=body)).content))
    assert np.array_equal(images, DigitGenerator.open("pretrained", device="cpu").generate(300, seed=1).numpy())


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


async def test_directions(service, library):
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


async def test_colour_images(service):
    async with service(model="colour") as client:
        data = (await client.post("/v1/generate", json={"num_images": 2})).json()
        assert pixels(data["images"][0]).shape == (28, 28, 3)


@pytest.mark.slow
async def test_an_exported_file_is_served(service, checkpoints, tmp_path):
    body = {"digits": [3, 1, 4], "seed": 7, "format": "npy"}
    images = {}
    for ending in ("ckpt", "safetensors", "onnx"):
        path = checkpoints["conditional"]
        if ending != "ckpt":
            output = [f"output='{tmp_path / f'{ending}.{ending}'}'", f"output_dir='{tmp_path}'"]
            path = export(compose("export", [f"ckpt='{path}'", *output]))
        async with service(f"models={{a: {{ckpt: '{path}'}}}}") as client:
            response = await client.post("/v1/generate", json=body)
            images[ending] = np.load(io.BytesIO(response.content)).astype(int)
    assert np.array_equal(images["ckpt"], images["safetensors"])
    assert np.abs(images["ckpt"] - images["onnx"]).max() <= 1


async def test_errors_are_one_sentence(service):
    async with service("max_images=64") as client:
        for path, body, words in (
            ("/v1/generate", {"num_images": 65}, "num_images: 65 images, at most 64 in one request"),
            ("/v1/generate", {"digits": [0] * 8, "seeds": list(range(9))}, "num_images: 72 images, at most 64"),
            ("/v1/generate", {"digits": [12]}, "digits=[12]: digits are 0 to 9"),
            ("/v1/generate", {"seed": 1, "seeds": [2]}, "give one of the two"),
            ("/v1/generate", {"sed": 1}, "sed: Extra inputs are not permitted"),
            ("/v1/generate", {"directions": {"slnat": 1}}, "directions.slnat: Extra inputs are not permitted"),
            ("/v1/generate", {"directions": {"slant": 6}}, "directions.slant: Input should be less than or equal to 5"),
            ("/v1/generate", {"model": "other"}, "model=other, version=null: no such model; there is default ("),
            ("/v1/interpolate", {"seeds": [1, 2, 3], "steps": 64}, "steps: 128 images, at most 64"),
        ):
            response = await client.post(path, json=body)
            assert response.status_code == 422
            assert words in response.json()["detail"]
