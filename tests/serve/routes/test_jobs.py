"""Requests for jobs: what is refused, and who sees a job."""

import pytest
from job_requests import JOB, submit, until
from tiny_generators import save_checkpoint

from gan.serve.schemas import JobEntry

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_jobs")]


async def test_refusals_are_one_sentence(service, ckpt, checkpoints):
    models = f"a: {{ckpt: '{ckpt}'}}, colour: {{ckpt: '{checkpoints['colour']}'}}"
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
        save_checkpoint(ckpt)
        changed = await client.post("/v1/jobs", json=JOB | {"model": "a"})
        assert changed.status_code == 409
        assert "has changed since model a was loaded from it; reload the model first." in changed.json()["detail"]
        await client.post("/v1/models/a/reload")
        await submit(client, model="a")
        assert (await client.get(f"/v1/jobs/{'0' * 32}")).status_code == 404
        assert (await client.get("/v1/jobs/..%2Fa")).status_code in (404, 422)
    async with service(f"jobs_dir='{ckpt}'") as client:
        refused = await client.post("/v1/jobs", json=JOB)
        assert (refused.status_code, refused.json()["detail"]) == (507, f"jobs_dir={ckpt}: File exists")
        assert (await client.get("/v1/jobs")).json() == {"jobs": []}
        assert (await client.get(f"/v1/jobs/{'0' * 32}")).status_code == 404
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
        entry = await until(client, url, "done")
        assert entry.keys() == JobEntry.model_fields.keys()  # not whose it is
        assert (await client.get("/v1/jobs")).json() == {"jobs": [entry]}


async def test_a_result_that_is_deleted_as_its_download_begins_is_a_job_that_is_not_there(service):
    async with service() as client:
        url = await submit(client)
        assert (await client.get(f"{url}/download")).status_code == 409
        await until(client, url, "done")
        client.service.jobs.find(url.rpartition("/")[2]).result.unlink()
        refused = await client.get(f"{url}/download")
        assert (refused.status_code, refused.json()["detail"].startswith("There is no job ")) == (404, True)
