"""Serves generated digits over HTTP: `gan serve ckpt=last port=8000`. All settings are in `conf/serve.yaml`."""

import errno
import logging
import logging.config
import multiprocessing
import os
import re
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from gan.errors import UserError, check_installed

if TYPE_CHECKING:  # a worker imports this file, and must then answer its supervisor before seconds of imports
    from collections.abc import Callable
    from types import FrameType

    from fastapi import FastAPI
    from uvicorn import Config

    from gan.serve.settings import Settings

log = logging.getLogger("gan.serve")
PREFIX = "GAN_SERVE_"
SERVICE_LINK = re.compile(rf"{PREFIX}(\w*PORT(_\d+_\w+)?=(tcp|udp|sctp)://|SERVICE_(HOST|PORT)|PORT_\d+_)")
PACKAGES = ("fastapi", "uvicorn", "httptools", "pydantic", "prometheus_client", "limits", "fastapi_offline")
UNREAD_RESPONSE_SECONDS = 60
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "text": {"class": "logging.StreamHandler", "formatter": "text", "stream": "ext://sys.stderr"},
        "json": {"()": "gan.closed_output.output_handler"},  # in workers, too
    },
    "loggers": {
        "gan": {"handlers": ["text"], "level": "WARNING", "propagate": False},
        "gan.serve": {"level": "INFO"},
        "gan.access": {"handlers": ["json"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["text"], "level": "INFO", "propagate": False},
    },
}


def pass_over_service_links() -> None:
    """Drops variables that Kubernetes makes for a Service named gan-serve, such as GAN_SERVE_PORT=tcp://10.96.12.7:80."""
    links = [name for name, value in os.environ.items() if SERVICE_LINK.match(f"{name}={value}")]
    for name in links:
        os.environ.pop(name)
    if links:
        reason = "set by Kubernetes for a Service, not for gan serve; enableServiceLinks: false leaves them out"
        print(f"gan serve: passing over {', '.join(sorted(links))}: {reason}", file=sys.stderr)


def serve(cfg: DictConfig) -> None:
    """Serves until SIGTERM or an interrupt, with the settings of `conf/serve.yaml`; requests in progress are finished.

    Raises:
        UserError: an invalid setting, a model or a port that cannot be used; nothing has been served then.
    """
    check_installed("gan serve", "serve", *PACKAGES)
    import uvicorn

    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # another program's; several workers get a folder of their own
    from gan.serve.access import check_rate_limit_storage
    from gan.serve.job_store import check_jobs_dir
    from gan.serve.models import Models
    from gan.serve.settings import read_settings

    settings = read_settings(cfg)
    logging.config.dictConfig(LOGGING)
    logging.getLogger("gan").setLevel(logging.INFO)  # until uvicorn configures it again: workers load the same models
    check_rate_limit_storage(settings)
    if settings.jobs_dir is not None:
        check_jobs_dir(settings.jobs_dir)
    _allow_connections()
    listener = bind(settings.host, settings.port)
    models = [f"{model.name} {model.version} ({model.generator.path})" for model in Models(settings).values()]
    host, port = listener.getsockname()[:2]
    for name in sorted(name for name in os.environ if name.startswith(PREFIX)):
        if name.removeprefix(PREFIX).lower() not in cfg:
            log.warning("%s: no such setting; conf/serve.yaml lists them", name)
    keys = f"{len(settings.api_keys)} API keys" if settings.api_keys else "no API key required"
    log.info("serving %s at http://%s:%d, %s", ", ".join(models), f"[{host}]" if ":" in host else host, port, keys)
    if settings.workers == 1:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again when it has stopped
        signal.signal(signal.SIGHUP, at_closed_terminal())
        uvicorn.Server(server_config(settings, log=LOGGING)).run([listener])
    else:
        from gan.serve.workers import supervise

        supervise(settings, listener)


def at_closed_terminal() -> "Callable[[int, FrameType | None], None] | signal.Handlers":
    """What SIGHUP does: a closed terminal stops the service as SIGTERM does, unless nohup ignores it."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return signal.SIG_IGN if ignored else lambda *_: signal.raise_signal(signal.SIGTERM)


def server_config(settings: "Settings", shared: Path | None = None, log: dict | None = None) -> "Config":
    """How uvicorn runs the application, which each worker makes for itself, with the logging `log`."""
    from uvicorn import Config

    return Config(
        partial(_application, settings, shared),
        factory=True,
        http="gan.serve.protocol:LimitedProtocol",
        ws="none",
        lifespan="on",
        log_config=log,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application reads them
        workers=settings.workers,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=round(settings.shutdown_timeout - settings.drain_seconds),
        timeout_worker_healthcheck=30,
    )


def _application(settings: "Settings", shared: Path | None) -> "FastAPI":
    if shared is not None:
        shared.mkdir(mode=0o700, exist_ok=True)  # the system may have cleaned its /tmp since the service started
        threading.Thread(target=_end_after_parent, daemon=True).start()
    from gan.serve.app import create_app

    return create_app(settings, shared)


def _end_after_parent() -> None:
    """Ends this worker, as SIGTERM does, once the process that has started it is gone, however it has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _allow_connections() -> None:
    """Takes all file descriptors that this process may have: without one, uvloop closes a connection unanswered."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def bind(host: str, port: int) -> socket.socket:
    """A socket of this address, whose connections end when a client does not read its response."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        free = "; port=0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        raise UserError(f"host={host}, port={port}: {error.strerror}{free}") from error
    listener.set_inheritable(True)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # on Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * UNREAD_RESPONSE_SECONDS)
    return listener
