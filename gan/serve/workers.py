"""Several workers of the service: started, watched and ended by one parent process."""

import os
import signal
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from gan.serve.command import LOGGING, at_closed_terminal, server_config
from gan.serve.prometheus import SHARED
from gan.serve.settings import Settings


class Supervisor(Multiprocess):
    """uvicorn's, which sees at once that a worker has died, and accepts no connection that no worker would serve."""

    def keep_subprocess_alive(self) -> None:
        for process in self.processes:
            process.child_conn.close()  # the worker has its own; an open one here would hide its death for 30 seconds
        super().keep_subprocess_alive()

    def terminate_all(self) -> None:
        super().terminate_all()
        for listener in self.sockets:
            listener.close()  # each worker has its own until it stops


def supervise(settings: Settings, listener: socket.socket) -> None:
    """Serves in several workers, and starts a new one in place of one that ends."""
    with TemporaryDirectory(prefix="gan-serve-", ignore_cleanup_errors=True) as shared:
        os.environ[SHARED] = shared
        os.environ["PYTHONSAFEPATH"] = "1"  # else workers import a user's own types.py or logging.py in this folder
        hangup = at_closed_terminal()
        supervisor = Supervisor(server_config(settings, Path(shared), LOGGING), [listener])
        signal.signal(signal.SIGHUP, hangup)  # at which uvicorn would start new workers, also of a service under nohup
        supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        sys.exit(STARTUP_FAILURE)  # as with one worker
