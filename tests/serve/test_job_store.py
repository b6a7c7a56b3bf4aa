"""Which jobs are taken, and what is removed from their folder."""

import pytest
from job_requests import JOB, submit

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_jobs")]


async def test_number_and_disk_are_bounded(service, slow):
    async with service("max_jobs=2") as client:
        slow.seconds = 0.05
        await submit(client), await submit(client)
        full = await client.post("/v1/jobs", json=JOB)
        assert (full.status_code, full.headers["retry-after"]) == (503, "60")
        assert full.json()["detail"].startswith("There are 2 jobs, with those that have ended: max_jobs=2. ")
    async with service("max_jobs_gb=0.001") as client:
        for entry in (await client.get("/v1/jobs")).json()["jobs"]:
            assert (await client.delete(entry["url"])).status_code == 204
        large = await client.post("/v1/jobs", json=JOB | {"num_images": 600})
        assert large.status_code == 507
        assert "This job needs 0.00 GB on the disk" in large.json()["detail"]
        assert "max_jobs_gb=0.001" in large.json()["detail"]
        await submit(client)


async def test_only_remains_of_jobs_are_removed_from_the_folder(service, tmp_path):
    own, remains = tmp_path / "jobs/.git/config", tmp_path / "jobs" / f".{'0' * 32}" / "record.json"
    for path in (own, remains):
        path.parent.mkdir(parents=True)
        path.touch()
    async with service() as client:
        await submit(client)
    assert (own.exists(), remains.parent.exists()) == (True, False)
