"""A service that listens, in a thread of this process."""

import contextlib
import threading
import time

import uvicorn

from gan.serve.command import server_config


@contextlib.contextmanager
def listening(settings):
    """The URL of a service on a free port, in a thread of this process, and a function that stops it."""
    config = server_config(settings)
    server = uvicorn.Server(config)
    config.port = 0
    thread = threading.Thread(target=server.run)

    def stop():
        server.should_exit = True
        thread.join()

    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", stop
    finally:
        stop()
