"""MNIST in miniature: in a folder, in memory, and on a web server."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from miniature import numbered, write_mnist


@pytest.fixture
def data_dir(tmp_path):
    """A folder with 200 training and 60 test images."""
    write_mnist(tmp_path / "files")
    return tmp_path / "files"


@pytest.fixture
def examples():
    """103 numbered images and their labels."""
    return torch.from_numpy(numbered(103)).unsqueeze(1), torch.arange(103) % 10


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def mirror(tmp_path):
    """Address and folder of a local web server, and the checksums of its four files."""
    folder = tmp_path / "mirror"
    sums = write_mnist(folder, packed=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder, sums
        server.shutdown()
