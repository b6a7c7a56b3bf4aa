"""Requests for jobs."""

import asyncio

JOB = {"num_images": 250, "digits": [3, 1, 4], "seed": 7}


async def submit(client, **body):
    response = await client.post("/v1/jobs", json=JOB | body)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == response.json()["url"]
    return response.json()["url"]


async def until(client, url, *states):
    async with asyncio.timeout(30):
        while (entry := (await client.get(url)).json())["state"] not in states:
            await asyncio.sleep(0.01)
    return entry
