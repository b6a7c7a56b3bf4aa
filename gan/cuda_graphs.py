"""CUDA graphs: the kernels that a Python call launches, recorded once and launched again; copies to the host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

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
        """Records one call, without running it; what it returned is overwritten by each replay.

        Raises:
            Exception: that of the call, which cannot be recorded; it can run afterwards, with the same random numbers.
        """
        graph, numbers = torch.cuda.CUDAGraph(), torch.cuda.get_rng_state(self.stream.device)
        recording = torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local")
        failure: BaseException | None = None
        try:
            with torch.cuda.stream(torch.cuda.current_stream()), recording:  # older torch would stay on `self.stream`
                try:
                    returned = call()
                except BaseException as error:
                    failure = error
                    raise
        except BaseException as error:
            # Older versions of torch leave the generator in the failed recording: no random number could be drawn.
            fresh = torch.Generator(self.stream.device)
            fresh.set_state(numbers)
            torch.cuda.default_generators[self.stream.device_index].graphsafe_set_state(fresh)
            raise failure or error from None  # the end of a recording that has failed raises as well
        return graph.replay, returned


def copied_to_host(values: Tensor) -> tuple[Tensor, torch.cuda.Event]:
    """A card's values on their way to pinned memory, and the event of their arrival: nothing waits for them here."""
    on_host, arrived = torch.empty(values.shape, dtype=values.dtype, pin_memory=True), torch.cuda.Event()
    on_host.copy_(values, non_blocking=True)
    arrived.record()
    return on_host, arrived
