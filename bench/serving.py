"""Load test of a real `gan serve` beside other services, each with the same generator and clients, in turns.

    python bench/serving.py [--seconds 4] [--rounds 3] [--workers auto]

The other services are those of `bench/other_services.py`: a FastAPI route that returns a constant PNG file, which is
the most that FastAPI can do, a bare FastAPI app around onnxruntime, and LitServe (`pip install litserve`). In each
round every service gets requests for one image from 1, 16 and 64 clients. The first table has the medians over the
rounds, and each service's share of the constant route's requests per second in the same round. The second has images
per second of requests for 64 images, over what the network alone makes on one thread in the same round. The clients run
on the same cores: wrk, a single thread, where it is installed (`apt-get install wrk`), else asyncio, which takes more
of them.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.request import urlopen

CLIENTS = (1, 16, 64)
BATCH = 64
OTHERS = Path(__file__).with_name("other_services.py")
DIGIT = ("/generate-digit", {"digit": 3})
LUA = """\
local number = FIRST -- no seed comes twice, so that none is in the cache
request = function()
  number = number + 1
  local body = string.gsub('BODY', '"seed": 0', '"seed": ' .. string.format('%d', number))
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
end
done = function(summary, latency, requests)
  local failed = summary.errors
  local errors = failed.connect + failed.read + failed.write + failed.status + failed.timeout
  io.stderr:write(string.format("%d %d %f %f %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors))
end
"""


@dataclass
class Load:
    """Results of some seconds of requests: requests per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    errors: int


@contextmanager
def started(command: list[str], port: int, path: str) -> Iterator[subprocess.Popen]:
    """Runs a service until the end of the block."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while not answers(port, path):
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"{' '.join(command)} ended:\n{log.read().decode()}")
                time.sleep(0.1)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            with suppress(ProcessLookupError):  # LitServe leaves processes behind
                os.killpg(process.pid, signal.SIGKILL)


def answers(port: int, path: str) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status == 200
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def measure(port: int, clients: int, seconds: int, path: str, body: dict) -> Load:
    if shutil.which("wrk"):
        with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as script:
            script.write(
                LUA.replace("BODY", json.dumps({**body, "seed": 0})).replace("FIRST", str(time.time_ns() // 1000))
            )
            script.flush()
            options = ["-t1", f"-c{clients}", f"-d{seconds}", "-s", script.name]
            command = ["wrk", *options, f"http://127.0.0.1:{port}{path}"]
            result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
        requests, duration, p50, p99, errors = map(float, result.stderr.split())
        return Load(1e6 * requests / duration, p50 / 1000, p99 / 1000, int(errors))
    latencies: list[float] = []
    numbers = count(time.time_ns() // 1000)

    async def client() -> int:
        """Sends one request after another on one connection, each with another seed; returns how many failed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        errors = 0
        while time.perf_counter() < until:
            content = json.dumps({**body, "seed": next(numbers)}).encode()
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(content)}\r\n\r\n"
            begun = time.perf_counter()
            writer.write(head.encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)[1]))
            latencies.append(1000 * (time.perf_counter() - begun))
            errors += not answer.startswith(b"HTTP/1.1 200")
        writer.close()
        return errors

    async def run() -> list[int | BaseException]:
        return await asyncio.gather(*(client() for _ in range(clients)), return_exceptions=True)

    until = time.perf_counter() + seconds
    errors = sum(1 if isinstance(result, BaseException) else result for result in asyncio.run(run()))
    ordered = sorted(latencies) or [float("nan")]
    p50, p99 = (ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.99))
    return Load(len(latencies) / seconds, p50, p99, errors)


def network_alone(seconds: int) -> float:
    """Images per second that the network makes of latents, on one thread, without a service."""
    import torch

    from gan.serve.models import Model
    from gan.serve.settings import ModelSettings

    torch.set_num_threads(1)
    generator = Model.open("default", ModelSettings(ckpt="pretrained"), "cpu", []).generator
    inputs = generator.latents(0, 0, BATCH), generator.labels(None, 0, BATCH)
    begun, images = time.perf_counter(), 0
    while time.perf_counter() < begun + seconds:
        images += len(generator.sample(*inputs))
    return images / (time.perf_counter() - begun)


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


def one_image(ports: dict[str, int], rounds: int, seconds: int) -> None:
    print("| one image | clients | requests/s | share of the constant route | p50 ms | p99 ms | errors |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for clients in CLIENTS:
        loads = [{name: measure(port, clients, seconds, *DIGIT) for name, port in ports.items()} for _ in range(rounds)]
        for name in ports:
            mine = [each[name] for each in loads]
            rate, p50, p99 = (statistics.median(getattr(load, key) for load in mine) for key in ("rate", "p50", "p99"))
            share = statistics.median(each[name].rate / each["constant"].rate for each in loads)
            cells = (name, clients, f"{rate:.0f}", f"{share:.2f}", f"{p50:.1f}", f"{p99:.1f}")
            print(f"| {' | '.join(map(str, cells))} | {sum(load.errors for load in mine)} |", flush=True)


def many_images(port: int, rounds: int, seconds: int) -> None:
    print(f"\n| {BATCH} images | clients | images/s | share of the network alone | errors |")
    print("|---|---:|---:|---:|---:|", flush=True)
    for image_format in ("npy", "json"):
        for clients in CLIENTS[:2]:
            loads, shares = [], []
            for _ in range(rounds):
                alone = network_alone(seconds)
                body = {"num_images": BATCH, "format": image_format}
                loads.append(measure(port, clients, seconds, "/v1/generate", body))
                shares.append(BATCH * loads[-1].rate / alone)
            images = BATCH * statistics.median(load.rate for load in loads)
            errors = sum(load.errors for load in loads)
            print(
                f"| {image_format} | {clients} | {images:.0f} | {statistics.median(shares):.2f} | {errors} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4, help="duration of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default="auto", help="of gan serve; the others have one process for requests")
    arguments = parser.parse_args()
    others = ["constant", "onnxruntime", "litserve"]
    if find_spec("litserve") is None:
        others.remove("litserve")
        print("litserve is not installed, so it is left out: pip install litserve")
    print(f"clients: {'wrk, one thread' if shutil.which('wrk') else 'asyncio'}\n", flush=True)
    with ExitStack() as running:
        ports = {name: free_port() for name in others}
        for name, port in ports.items():
            path = "/health" if name == "litserve" else "/docs"
            running.enter_context(started([sys.executable, str(OTHERS), name, str(port)], port, path))
        options = ["ckpt=pretrained", f"workers={arguments.workers}", "drain_seconds=0"]
        ours = free_port()
        command = [sys.executable, "-m", "gan", "serve", f"port={ours}", *options]
        process = running.enter_context(started(command, ours, "/readyz"))
        ports = {f"gan serve workers={arguments.workers}": ours, **ports}
        for port in ports.values():
            measure(port, 4, 1, *DIGIT)  # warm-up
        one_image(ports, arguments.rounds, arguments.seconds)
        many_images(ours, arguments.rounds, arguments.seconds)
        print(f"\nmemory of gan serve at the end: {memory(process.pid):.0f} MiB")


if __name__ == "__main__":
    main()
