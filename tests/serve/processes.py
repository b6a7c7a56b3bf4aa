"""Processes beside a test: `gan serve`, and Redis."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time

import httpx
import pytest

PATIENCE = 120
PLAIN = {"timeout": PATIENCE, "verify": False}  # reading the system's certificates takes longer than a response


class Server:
    """A running `gan serve`; nobody reads its standard output."""

    def __init__(self, python, *overrides):
        reader, output = os.pipe()
        os.close(reader)
        self.process = subprocess.Popen(
            [python, "-m", "gan", "serve", "device=cpu", "jobs_dir=null", *overrides],
            stderr=subprocess.PIPE,
            stdout=output,
            text=True,
        )
        os.close(output)
        self.log = []
        threading.Thread(target=lambda: self.log.extend(iter(self.process.stderr.readline, "")), daemon=True).start()
        self.port = int(self.wait_for(r"at http://127\.0\.0\.1:(\d+)")[0])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", **PLAIN)
        while self.probe() != 200:
            assert self.process.poll() is None, "".join(self.log)
            time.sleep(0.05)

    def probe(self):
        """The status of /readyz; None if nothing listens."""
        try:
            return self.get("/readyz").status_code
        except httpx.ConnectError:
            return None

    def wait_for(self, pattern, count=1):
        deadline = time.monotonic() + PATIENCE
        while len(found := re.findall(pattern, "".join(self.log))) < count:
            assert self.process.poll() is None, "".join(self.log)
            assert time.monotonic() < deadline, "".join(self.log)
            time.sleep(0.02)
        return found

    def get(self, path):
        """The response to a request on its own connection."""
        return httpx.get(f"{self.client.base_url}{path}", **PLAIN)

    def generate(self, **body):
        """The response to a request on its own connection; None if the connection fails."""
        try:
            return httpx.post(f"{self.client.base_url}/v1/generate", json=body, **PLAIN)
        except httpx.TransportError:
            return None


@pytest.fixture
def serve(python):
    started = []

    def start(*overrides, python=python):
        started.append(Server(python, *overrides))
        return started[-1]

    yield start
    for server in started:
        server.client.close()
        server.process.kill()
        server.process.wait()


@pytest.fixture
def redis(tmp_path):
    """The address of a Redis server of this test's own, and a function that stops it."""
    program = shutil.which("redis-server")
    if program is None:
        reason = "needs Redis (Debian: apt-get install redis-server)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert any("Ready to accept connections" in line for line in process.stdout)

    def stop():
        process.kill()
        process.wait()
        process.stdout.close()

    yield f"redis://127.0.0.1:{port}/0", stop
    stop()
