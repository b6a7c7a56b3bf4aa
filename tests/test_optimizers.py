"""Each optimizer of torch trains, or is refused in one line."""

import pytest
import torch

from gan.errors import UserError
from gan.optimizers import build_optimizer

REFUSED = ("LBFGS", "Muon", "Optimizer", "SparseAdam")
FOUND = [name for name, kind in vars(torch.optim).items() if isinstance(kind, type)]


@pytest.mark.parametrize("name", FOUND)
def test_each_optimizer_of_torch_steps_or_is_refused(name):
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    spec = {"_target_": f"torch.optim.{name}"}
    if name in REFUSED:
        with pytest.raises(UserError, match=r"^model\.generator_optimizer") as raised:
            build_optimizer(spec, "model.generator_optimizer", (), [parameter])
        assert "\n" not in str(raised.value)
    else:
        build_optimizer(spec, "model.generator_optimizer", (), [parameter]).step()
        assert not torch.equal(parameter, torch.ones(3))
