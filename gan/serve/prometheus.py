"""The service's Prometheus metrics, of one process or of several workers that share PROMETHEUS_MULTIPROC_DIR."""

import os
from functools import cache
from pathlib import Path

import psutil
from prometheus_client import (
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

REQUESTS = Counter("gan_http_requests", "Requests with a response", ["method", "path", "status"])
LATENCY = Histogram(
    "gan_http_request_duration_seconds",
    "Time from a request's headers to the end of its response",
    ["path"],
    buckets=(0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IMAGES = Counter("gan_images", "Images generated", ["model"])
IMAGES_SEEN = Gauge(
    "gan_model_images_seen", "Training images of the served model", ["model"], multiprocess_mode="livemostrecent"
)
BATCH = Histogram("gan_batch_images", "Images per batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
BATCH_SECONDS = Histogram(
    "gan_batch_duration_seconds", "Time per batch", buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
)
QUEUE = Gauge("gan_queue_images", "Images in the queue", multiprocess_mode="livesum")
REFUSED = Counter("gan_queue_full", "Requests refused because the queue was full")
CACHE = Counter("gan_cache_lookups", "Seeded requests; the hit rate is the hits' share of them", ["outcome"])
CACHE_BYTES = Gauge("gan_cache_bytes", "Memory of the cached images", multiprocess_mode="livesum")
RELOADS = Counter("gan_model_reloads", "Model reloads", ["model", "outcome"])

for _outcome in ("hit", "miss"):
    CACHE.labels(_outcome)  # both are there from the start


def observe_request(method: str, path: str, status: int, seconds: float) -> None:
    """Counts a request. Methods that HTTP does not define share one label value, so that clients cannot add more."""
    requests, latency = _of_route(method if method in METHODS else "other", path, status)
    requests.inc()
    latency.observe(seconds)


@cache
def _of_route(method: str, path: str, status: int) -> tuple[Counter, Histogram]:
    """The metrics of these labels, which have few values. Cached: looking them up costs more than counting."""
    return REQUESTS.labels(method, path, status), LATENCY.labels(path)


def exposition() -> bytes:
    """All metrics, of all workers together, in the text format."""
    if SHARED not in os.environ:
        return generate_latest()
    Path(os.environ[SHARED]).mkdir(mode=0o700, exist_ok=True)  # the system may have cleaned its /tmp
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)


def forget_dead_workers() -> None:
    """Deletes the gauges of workers that were killed, since their queues are gone."""
    for file in Path(os.environ[SHARED]).glob("gauge_live*_*.db") if SHARED in os.environ else ():
        if not psutil.pid_exists(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)  # another new worker may be faster
