"""Load test of a real `gan serve` on this machine. Each client keeps one connection.

    python bench/serving.py [--seconds 5] [--ckpt pretrained] [--workers 1]

Prints a Markdown table: requests per second, latency and errors of requests for one image from 1, 16 and 64 clients,
with and without batching; then images per second of requests for 64 images; then the service's memory at its end. The
clients run on the same cores as the service.
"""

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.request import urlopen

BATCH = 64
HEADER = """\
| requests | clients | requests/s | images/s | p50 ms | p99 ms | errors |
|---|---:|---:|---:|---:|---:|---:|"""


@dataclass
class Load:
    """Results of some seconds of requests."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def row(self, name: str, clients: int, images: int) -> str:
        ordered = sorted(self.latencies) or [float("nan")]
        p50, p99 = (1000 * ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.99))
        cells = (
            name,
            clients,
            f"{self.rate:.0f}",
            f"{images * self.rate:.0f}",
            f"{p50:.1f}",
            f"{p99:.1f}",
            self.errors,
        )
        return f"| {' | '.join(str(cell) for cell in cells)} |"


@contextmanager
def served(*overrides: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """Runs a service on a free port; yields its process and port."""
    command = [sys.executable, "-m", "gan", "serve", "port=0", "drain_seconds=0", *overrides]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        said = []
        for line in process.stderr:  # the first lines name the models
            said.append(line)
            if found := re.search(r"at http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise SystemExit("".join(said))
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would block the service
        while not ready(int(found[1])):
            if process.poll() is not None:
                raise SystemExit("the service ended before it was ready")
            time.sleep(0.1)
        yield process, int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except OSError:
        return False


async def client(port: int, path: str, body: dict, numbers: Iterator[int], until: float, load: Load) -> None:
    """Sends one request after another, each with another seed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        content = json.dumps({**body, "seed": next(numbers)}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        started = time.perf_counter()
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)[1]))
        if answer.startswith(b"HTTP/1.1 200"):
            load.latencies.append(time.perf_counter() - started)
        else:
            load.errors += 1
    writer.close()


def measure(port: int, clients: int, seconds: float, path: str, body: dict) -> Load:
    async def run() -> Load:
        load, numbers = Load(seconds), count()
        until = time.perf_counter() + seconds
        clients_running = [client(port, path, body, numbers, until, load) for _ in range(clients)]
        ended = await asyncio.gather(*clients_running, return_exceptions=True)
        load.errors += sum(isinstance(result, Exception) for result in ended)
        return load

    return asyncio.run(run())


def memory(pid: int) -> float:
    """Memory in MiB of a process and its children, from /proc."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*/status"):
        try:
            status = process.read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        mine = process.parent.name == str(pid) or re.search(rf"^PPid:\s+{pid}$", status, re.MULTILINE)
        if mine and (resident := re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)):
            total += int(resident[1]) / 1024
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each row of the table")
    parser.add_argument("--ckpt", default="pretrained")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    print(HEADER, flush=True)
    common = [f"ckpt={arguments.ckpt}", f"workers={arguments.workers}"]
    for name, overrides in (("one image", []), ("one image, no batching", ["max_batch=1"])):
        with served(*common, *overrides) as (process, port):
            measure(port, 4, 1.0, "/generate-digit", {"digit": 3})
            for clients in (1, 16, 64):
                load = measure(port, clients, arguments.seconds, "/generate-digit", {"digit": 3})
                print(load.row(name, clients, 1), flush=True)
            if not overrides:
                for image_format in ("json", "npy"):
                    body = {"num_images": BATCH, "format": image_format}
                    for clients in (1, 16):
                        load = measure(port, clients, arguments.seconds, "/v1/generate", body)
                        print(load.row(f"{BATCH} images, {image_format}", clients, BATCH), flush=True)
                used = memory(process.pid)
    print(f"\nmemory at the end: {used:.0f} MiB")


if __name__ == "__main__":
    main()
