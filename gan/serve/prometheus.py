"""What Prometheus sees. With several workers each writes files into PROMETHEUS_MULTIPROC_DIR, and any adds them up."""

import os
from contextlib import suppress
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

SHARED = "PROMETHEUS_MULTIPROC_DIR"
disable_created_metrics()
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

REQUESTS = Counter("gan_http_requests", "Requests answered", ["method", "path", "status"])
LATENCY = Histogram(
    "gan_http_request_duration_seconds",
    "Time from a request's head to the end of its answer",
    ["path"],
    buckets=(0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IMAGES = Counter("gan_images", "Images drawn", ["model", "version"])
BATCH = Histogram("gan_batch_images", "Images drawn in one go", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
BATCH_SECONDS = Histogram(
    "gan_batch_duration_seconds", "Time to draw them", buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
)
QUEUE = Gauge("gan_queue_images", "Images waiting to be drawn", multiprocess_mode="livesum")
REFUSED = Counter("gan_queue_full", "Requests refused because the queue was full")
RELOADS = Counter("gan_model_reloads", "Models loaded again", ["model", "outcome"])


def observe_request(method: str, path: str, status: int, seconds: float) -> None:
    """Counts a request; the labels are of few values, whatever a client sends."""
    REQUESTS.labels(method if method in METHODS else "other", path, status).inc()
    LATENCY.labels(path).observe(seconds)


def exposition() -> bytes:
    """All of it as text, of all workers together."""
    if SHARED not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)


def forget_dead_workers() -> None:
    """Removes the gauges of workers that were killed: what waited in their queues waits no more."""
    for file in Path(os.environ[SHARED]).glob("gauge_live*_*.db") if SHARED in os.environ else ():
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another new worker was faster
                file.unlink()
