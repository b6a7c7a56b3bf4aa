"""Debian's nginx with the server of deploy/nginx.conf, in front of a service."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "deploy" / "nginx.conf"
PATIENCE = 30
MAIN = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


@contextlib.contextmanager
def in_front_of(url, folder):
    """The URL of nginx without TLS, which passes requests on to the service at `url`."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("needs nginx (Debian: apt-get install nginx)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = CONFIG.read_text(encoding="utf-8").replace("127.0.0.1:8000", url.removeprefix("http://"))
    upstream, _, server = re.split(r"^(?=server {)", text, flags=re.MULTILINE)
    server = re.sub(r" +ssl_.*\n", "", server).replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")
    config = folder / "nginx.conf"
    config.write_text(MAIN.format(folder=folder, servers=upstream + server), encoding="utf-8")
    process = subprocess.Popen([nginx, "-p", folder, "-c", config], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
