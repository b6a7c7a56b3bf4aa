"""A service under everything at once: many clients, reloads, killed workers, jobs, and a file that is replaced.

    python bench/soak.py [--seconds 300] [--clients 64] [--workers 2]

Clients ask for images, grids, interpolations and the page's list of models, and send requests that must be refused.
Every few seconds a worker is killed, the watched file is replaced (now and then by a damaged one) or the model is
reloaded. An error is due if it is the refusal that was provoked, or on a connection that was open during a kill.
Prints the service's memory over time, what happened, and each kind of error that was not due: none is right.
"""

import argparse
import asyncio
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

import httpx
import torch
from serving import free_port, memory, started

from gan.checkpoint_files import PRETRAINED
from gan.inference import DigitGenerator
from gan.inference.exported_files import write_safetensors

EVERY = 3.0  # seconds between two events
BETWEEN_KILLS = 20.0  # seconds in which a new worker starts
REQUESTS: list[tuple[str, str, dict | bytes | None, int]] = [
    ("POST", "/v1/generate", {"format": "npy"}, 200),
    ("POST", "/generate-digit", {"digit": 3}, 200),
    ("POST", "/v1/generate", {"num_images": 16, "format": "grid"}, 200),
    ("GET", "/v1/models", None, 200),
    ("POST", "/v1/interpolate", {"seeds": [1, 2], "steps": 8}, 200),
    ("POST", "/v1/generate", {"digits": [77]}, 422),
    ("POST", "/v1/generate", b" " * 70_000, 413),
    ("GET", "/nowhere", None, 404),
]


class Connection(httpx.AsyncClient):
    """A client with one connection, which knows since when."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.opened = time.monotonic()


class Soak:
    """What the clients and the events share."""

    def __init__(self, pid: int, port: int, file: Path, until: float) -> None:
        self.pid, self.url, self.file, self.until = pid, f"http://127.0.0.1:{port}", file, until
        self.responses: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.versions: set[str] = set()
        self.killed = float("-inf")

    def connection(self) -> "Connection":
        return Connection(base_url=self.url, timeout=60, limits=httpx.Limits(max_connections=1))

    async def client(self, number: int) -> None:
        requests = cycle(REQUESTS[number % len(REQUESTS) :] + REQUESTS[: number % len(REQUESTS)])
        while time.monotonic() < self.until:
            async with self.connection() as client:
                for method, path, body, expected in requests:
                    if time.monotonic() >= self.until or not await self.ask(client, method, path, body, expected):
                        break

    async def ask(self, client: Connection, method: str, path: str, body: dict | bytes | None, expected: int) -> bool:
        """Sends a request; False if the connection broke."""
        given = {"content": body} if isinstance(body, bytes) else {"json": body}
        try:
            response = await client.request(method, path, **(given if body is not None else {}))
        except httpx.TransportError as error:
            if client.opened < self.killed:
                self.responses["connection broken by a kill"] += 1
            else:
                self.errors[f"{method} {path}, {expected} expected: {type(error).__name__}"] += 1
            return False
        if response.status_code == expected:
            self.responses[str(expected)] += 1
        else:
            self.errors[f"{method} {path}: {response.status_code}, not {expected}: {response.text[:80]}"] += 1
        self.versions.add(response.headers.get("x-model-version", "none"))
        return expected != 413  # such a connection is closed

    async def provoke(self) -> None:
        """One event after another, and a job that is started again whenever it is done."""
        job = None
        for number in range(10**6):
            await asyncio.sleep(EVERY)
            if time.monotonic() >= self.until:
                return
            what = ("replaced", "reload", "kill", "replaced", "damaged")[number % 5]
            if what == "kill" and time.monotonic() - self.killed < BETWEEN_KILLS:
                continue
            self.events[what] += 1
            if what == "kill":
                self.killed = time.monotonic()
                os.kill(random.choice(children(self.pid)), signal.SIGKILL)
            elif what == "reload":
                async with self.connection() as client:
                    await self.ask(client, "POST", "/v1/models/default/reload", None, 200)
            else:
                await asyncio.to_thread(replace, self.file, number, what == "damaged")
            job = await self.follow(job)

    async def follow(self, job: str | None) -> str | None:
        """Starts a job if there is none; its address, or None if it has ended."""
        client = self.connection()
        try:
            async with client:
                if job is None:
                    answer = await client.post("/v1/jobs", json={"num_images": 5_000, "seed": 1})
                    if answer.status_code == 202:
                        return answer.json()["url"]
                    if answer.status_code != 409:  # the file was replaced a moment ago
                        self.errors[f"POST /v1/jobs: {answer.status_code} {answer.text[:80]}"] += 1
                    return None
                entry = (await client.get(job)).json()
                if entry["state"] not in ("done", "failed"):
                    return job
                self.events[f"job {entry['state']}"] += 1
                if entry["state"] == "failed":
                    self.errors[f"job: {entry['error']}"] += 1
                await client.delete(job)
                return None
        except httpx.TransportError as error:
            if client.opened > self.killed:
                self.errors[f"jobs: {type(error).__name__}"] += 1
            return job

    async def weigh(self, seconds: float) -> None:
        print("| seconds | memory MiB | workers | responses | errors |\n|---:|---:|---:|---:|---:|", flush=True)
        started = time.monotonic()
        while time.monotonic() < self.until:
            await asyncio.sleep(seconds)
            passed, errors = time.monotonic() - started, sum(self.errors.values())
            cells = (f"{memory(self.pid):.0f}", len(children(self.pid)), sum(self.responses.values()), errors)
            print(f"| {passed:.0f} | {' | '.join(map(str, cells))} |", flush=True)


def children(pid: int) -> list[int]:
    """The worker processes; Python's resource tracker is none of them."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            mine = re.search(rf"^PPid:\s+{pid}$", (path / "status").read_text(encoding="utf-8"), re.MULTILINE)
            if mine and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:  # it has ended
            continue
    return found


def replace(file: Path, number: int, damaged: bool) -> None:
    """Replaces the file by one with slightly other weights, or by half of one."""
    generator, new = DigitGenerator.open(PRETRAINED, device="cpu"), file.with_name("new")
    next(generator.network.parameters()).mul_(1 + (number + 1) / 1000)
    write_safetensors(generator.network, {**generator.facts, "version": generator.info()["version"]}, new)
    if damaged:
        os.truncate(new, new.stat().st_size // 2)
    os.replace(new, file)


async def soak(pid: int, port: int, file: Path, seconds: float, clients: int) -> Soak:
    run = Soak(pid, port, file, time.monotonic() + seconds)
    tasks = [run.client(number) for number in range(clients)]
    await asyncio.gather(*tasks, run.provoke(), run.weigh(max(2.0, seconds / 20)))
    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2, help="at least 2, since a killed one cannot answer")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.safetensors")
        shutil.copyfile(PRETRAINED, file)
        port = free_port()
        given = [f"ckpt={file}", "watch=true", f"workers={arguments.workers}", f"jobs_dir={folder}/jobs"]
        command = [sys.executable, "-m", "gan", "serve", f"port={port}", "drain_seconds=0", *given]
        with started(command, port, "/readyz") as process:
            run = asyncio.run(soak(process.pid, port, file, arguments.seconds, arguments.clients))
    for name, counts in (("due", run.responses), ("events", run.events), ("NOT DUE", run.errors)):
        print(f"\n{name}:", *(f"\n  {count:6} {what}" for what, count in counts.most_common()))
    print(f"\n{len(run.versions - {'none'})} versions of the model answered")
    return 1 if run.errors else 0


if __name__ == "__main__":
    sys.exit(main())
