"""Stands in for CUDA graphs on the CPU: records the operations of a call and runs them again in the same memory."""

from contextlib import nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SYNCHRONIZING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero"}


class SynchronizationError(RuntimeError):
    """What CUDA raises while a stream is recorded."""


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Recorder(TorchDispatchMode):
    """Keeps every operation and undoes what is written to older memory; refuses what reads a value on the host."""

    def __init__(self):
        super().__init__()
        self.calls, self.own, self.older = [], set(), {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func._schema.name in SYNCHRONIZING:
            raise SynchronizationError(f"operation not permitted when stream is capturing: {func._schema.name}")
        for tensor in tensors((args, kwargs)):
            memory = tensor.untyped_storage()
            if memory.data_ptr() not in self.own and memory.data_ptr() not in self.older:
                self.older[memory.data_ptr()] = (memory, memory.clone())
        found = func(*args, **kwargs)
        known = {tensor.untyped_storage().data_ptr() for tensor in tensors((args, kwargs))}
        self.own |= {tensor.untyped_storage().data_ptr() for tensor in tensors(found)} - known - self.older.keys()
        self.calls.append((func, args, kwargs, found))
        return found

    def undo(self):
        for memory, before in self.older.values():
            memory.copy_(before)

    def replay(self):
        with torch.no_grad():
            for func, args, kwargs, found in self.calls:
                again = func(*args, **kwargs)
                for old, new in zip(tensors(found), tensors(again), strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class RecordedCalls:
    """As `gan.cuda_graphs.CudaGraphs`, on the CPU."""

    device_type = "cpu"
    replays = 0

    def warming_up(self):
        return nullcontext()

    def record(self, call):
        random_numbers, recorder = torch.get_rng_state(), Recorder()
        try:
            with recorder:
                found = call()
        finally:
            recorder.undo()
            torch.set_rng_state(random_numbers)

        def replay():
            RecordedCalls.replays += 1
            recorder.replay()

        return replay, found
