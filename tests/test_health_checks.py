"""The health checks of the containers."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parent.parent / "deploy"


class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def health_checks():
    lines = re.findall(r"HEALTHCHECK .*? CMD (.*)", (DEPLOY / "Dockerfile").read_text())
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return [*map(json.loads, lines), *(each["healthcheck"]["test"][1:] for each in compose["services"].values())]


@pytest.mark.parametrize("command", [each for each in health_checks() if each[0] == "python"])
def test_health_checks_ask_no_proxy(command, monkeypatch):
    """Docker gives containers the proxy of its configuration."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("GAN_SERVE_PORT", str(server.server_port))
        code = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{server.server_port}", command[2])
        try:
            exec(code, {})
        finally:
            server.shutdown()
