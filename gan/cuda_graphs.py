"""CUDA graphs: the kernels that a Python call launches, recorded once and launched again at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


class CudaGraphs:
    """Records Python calls that launch kernels on a stream of its own, and returns what launches them again."""

    device_type = "cuda"

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """Runs on the stream that records: what a first run sets up (algorithms, workspaces) is there for the next."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, call: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Records one call, without running it; what it returned is overwritten by each replay."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            returned = call()
        return graph.replay, returned
