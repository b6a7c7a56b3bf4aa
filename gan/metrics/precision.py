"""The precision that measures are computed in, whatever the caller has chosen for torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Neither autocast nor TF32 or bf16 inside: the measures don't depend on the precision a run trains in."""
    backends: Any = torch.backends  # its types lack some of what is there
    cudnn, cpu = backends.cudnn, backends.mkldnn
    kinds = [(cpu.conv, cpu), (cpu.rnn, cpu)]  # which torch's older setting does not reach
    try:
        older = torch.get_float32_matmul_precision(), cudnn.allow_tf32
        _set_older("highest", False)
    except RuntimeError:  # the caller has used torch's newer setting, which excludes the older one
        older = None
        kinds += [(backends.cuda.matmul, cudnn), (cudnn.conv, cudnn), (cudnn.rnn, cudnn), (cpu.matmul, cpu)]
    before = [
        (kind, "none" if kind.fp32_precision == whole.fp32_precision else kind.fp32_precision) for kind, whole in kinds
    ]
    for kind, _ in kinds:
        kind.fp32_precision = "ieee"
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for kind, precision in before:
            kind.fp32_precision = precision  # "none" is that of the backend, also when the caller changes it later
        if older is not None:
            _set_older(*older)


def _set_older(matrix_products: str, cudnn_tf32: bool) -> None:
    if torch.get_float32_matmul_precision() != matrix_products:  # else a newer setting that was not there would be
        torch.set_float32_matmul_precision(matrix_products)
    torch.backends.cudnn.allow_tf32 = cudnn_tf32
