"""The endpoints of two published services."""

import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from received import pixels

from gan.serve.routes.published import BatchRequest, DigitRequest, GenerateRequest

pytestmark = pytest.mark.anyio


async def test_the_first_published_service(service):
    async with service() as client:
        assert (await client.get("/")).json().keys() >= {"name", "endpoints"}
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


def test_fields_have_their_defaults_and_unknown_ones_are_ignored():
    assert GenerateRequest(style="bold").model_dump() == {"num_images": 1, "return_format": "base64"}
    assert DigitRequest(digit=9, style="bold").model_dump() == {"digit": 9, "seed": None}
    assert BatchRequest(batch_size=64).model_dump() == {"batch_size": 64, "grid": False}
    assert BatchRequest().batch_size == 16


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        *((GenerateRequest, {"num_images": count}) for count in (0, "3", 1.5)),
        (GenerateRequest, {"return_format": "png"}),
        *((DigitRequest, {"digit": digit}) for digit in (-1, 10, "3")),
        *((DigitRequest, {"seed": seed}) for seed in (-1, 2**63)),
        *((BatchRequest, {"batch_size": count}) for count in (0, 65)),
        (BatchRequest, {"grid": "yes"}),
    ],
)
def test_other_values_are_refused(schema, fields):
    with pytest.raises(ValidationError):
        schema(**fields)
