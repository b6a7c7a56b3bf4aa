"""A training step as CUDA graphs.

With networks this small, a step's time goes into launching several hundred kernels. A CUDA graph launches them all at
once. Its code is that of the eager step: it is recorded once for each form that a step takes (which penalties are
due, what has faded away) and replayed with other images and other values in the same memory.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from lightning import Callback
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from gan.cuda_graphs import CudaGraphs
from gan.step_plan import Step, StepResult, StepValues

if TYPE_CHECKING:
    from gan.module import GAN

StepFunction = Callable[[Step, Tensor, Tensor], StepResult]
HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")  # inside a step


class GraphedStep:
    """A step that is run once for each form, recorded the second time, and replayed from then on.

    The first run of a form is a real step, so no warm-up has to be undone. Recording runs nothing.

    Args:
        step: the function to run; it must read no tensor's value.
        graphs: what records and replays.
    """

    def __init__(self, step: StepFunction, graphs: CudaGraphs) -> None:
        self.step, self.graphs = step, graphs
        self.inputs: dict[torch.Size, tuple[Tensor, Tensor, Tensor]] = {}
        self.recorded: dict[Any, tuple[Callable[[], None], StepResult] | None] = {}

    def __call__(self, step: Step, images: Tensor, labels: Tensor) -> StepResult:
        """What the step found; tensors hold it until the next step."""
        if images.shape not in self.inputs:
            row = torch.zeros(len(step.values), device=images.device)
            self.inputs[images.shape] = (torch.empty_like(images), torch.empty_like(labels), row)
        inputs = self.inputs[images.shape]
        values = torch.tensor([0.0 if value is None else value for value in step.values])
        for target, source in zip(inputs, (images, labels, values), strict=True):
            target.copy_(source, non_blocking=True)
        pairs = zip(step.values, inputs[2].unbind(), strict=True)
        on_card = step._replace(values=StepValues._make(None if value is None else tensor for value, tensor in pairs))
        key = (step.form(), images.shape)
        if key not in self.recorded:
            self.recorded[key] = None
            with self.graphs.warming_up():
                return self.step(on_card, *inputs[:2])
        recorded = self.recorded[key]
        if recorded is None:
            recorded = self.recorded[key] = self.graphs.record(lambda: self.step(on_card, *inputs[:2]))
        replay, found = recorded
        replay()
        return found


def hindrance_to_graphs(module: "GAN", device_type: str) -> str | None:
    """Why the module's steps cannot be graphs; None where they can."""
    from gan.module import GAN  # imported on use: its module imports this one

    trainer = module.trainer
    if module.device.type != device_type:
        return f"graphs need a {device_type} device, not {module.device.type}"
    if trainer.world_size > 1:
        return f"the gradients of {trainer.world_size} processes are averaged between the kernels"
    if trainer.precision == "16-mixed":
        return "the loss scale of 16-mixed is read at each step"
    if torch.is_anomaly_enabled():
        return "trainer.detect_anomaly=true reads each gradient"
    for optimizer in trainer.optimizers:
        if not {"capturable", "fused"} & optimizer.param_groups[0].keys():
            return f"{type(optimizer).__name__} reads its values on the host"
    for config in trainer.lr_scheduler_configs:
        if getattr(config.scheduler, "cycle_momentum", False):
            return f"{type(config.scheduler).__name__} changes the momentum"
    for hook in HOOKS:
        for part, parent in ((module, GAN), *((callback, Callback) for callback in trainer.callbacks)):
            if is_overridden(hook, part, parent):
                return f"{type(part).__name__} is called in each step ({hook})"
    return None
