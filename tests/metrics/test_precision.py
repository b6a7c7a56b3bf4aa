"""Measures are computed in full precision, and the caller's settings are kept."""

import subprocess
from pathlib import Path

import pytest
import torch

from gan.metrics.precision import full_precision

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tf32():
    """The settings that allow it, which are put back."""
    settings = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [each.allow_tf32 for each in settings]
    yield settings
    for each, value in zip(settings, before, strict=True):
        each.allow_tf32 = value


def test_inside_full_precision_nothing_is_rounded_and_after_it_all_is_as_before(tf32):
    for each in tf32:
        each.allow_tf32 = True
    values = torch.ones(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision(torch.device("cpu")):
            assert not any(each.allow_tf32 for each in tf32)
            assert (values @ values).dtype == torch.float32
        assert (values @ values).dtype == torch.bfloat16
    assert all(each.allow_tf32 for each in tf32)


PRECISION = """
import torch
from gan.metrics.precision import full_precision

def settings():
    backends = torch.backends
    kinds = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    return [kind.fp32_precision for kind in kinds]

{setting}
before = settings()
with full_precision(torch.device("cpu")):
    assert {{"tf32", "bf16"}}.isdisjoint(settings()), settings()
assert settings() == before, settings()
{read}
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("torch.set_float32_matmul_precision('medium')", "assert torch.get_float32_matmul_precision() == 'medium'"),
        (
            "torch.backends.fp32_precision = 'tf32'",
            "torch.backends.fp32_precision = 'ieee'; assert set(settings()) == {'ieee'}",
        ),
        ("torch.backends.mkldnn.conv.fp32_precision = 'bf16'", ""),
        ("torch.backends.cuda.matmul.fp32_precision = 'tf32'", ""),
    ],
)
def test_a_callers_precision_is_not_in_the_measures_and_is_kept(python, setting, read):
    """In a process of its own: torch refuses a mix of its older and its newer setting for ever."""
    code = PRECISION.format(setting=setting, read=read)
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
