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


class InGroups(torch.optim.SGD):
    def __init__(self, parameters):
        super().__init__([{"params": [parameter]} for parameter in parameters])


def test_an_optimizer_that_divides_the_weights_is_refused():
    """One rate, one clipping and one schedule are for all of them."""
    parameters = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    with pytest.raises(UserError, match="2 groups of weights; one is needed"):
        build_optimizer({"_target_": f"{__name__}.InGroups"}, "model.generator_optimizer", [__name__], parameters)
