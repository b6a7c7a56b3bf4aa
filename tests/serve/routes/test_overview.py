"""The list of all endpoints."""

import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("overrides", "root"), [((), ""), (("root_path=/gan", "jobs_dir=null"), "/gan")])
async def test_every_endpoint_has_its_path_and_its_first_sentence(service, overrides, root):
    async with service(*overrides) as client:
        found = (await client.get("/")).json()
        paths = (await client.get("/openapi.json")).json()["paths"]
    endpoints = {f"{method.upper()} {root}{path}" for path, methods in paths.items() for method in methods}
    assert found["endpoints"].keys() == endpoints | {f"GET {root}/{page}" for page in ("docs", "redoc", "ui/")}
    assert (f"POST {root}/v1/jobs" in endpoints) is (not overrides)
    reload = found["endpoints"][f"POST {root}/v1/models/{{name}}/reload"]
    assert reload == "Reads the model's file again. The old model stays in use until the new one is loaded."
    assert found["endpoints"][f"GET {root}/docs"] == "Interactive documentation of these endpoints."
    assert not any("\n" in sentence for sentence in found["endpoints"].values())
    assert found["name"] == "MNIST GAN"
