"""How the steps of a run are executed: one by one from Python, or as CUDA graphs, many in each call."""

import logging
import math
import time
from typing import TYPE_CHECKING

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from gan.config.bounds import require
from gan.cuda_graphs import CudaGraphs
from gan.data.batches import required_batch
from gan.divergence import FiniteWatch
from gan.errors import UserError, one_line
from gan.graphed_step import GraphedStep, StepFunction, hindrance_to_graphs
from gan.optimizers import make_capturable
from gan.schedules import follow_length
from gan.step_plan import LoggedStep, Step, StepResult

if TYPE_CHECKING:
    from gan.module import GAN

STEPS_PER_CALL = 100  # with graphs: Lightning takes milliseconds for each call of `training_step`

log = logging.getLogger("gan")


class Execution:
    """Runs the steps of a module, as graphs where that is possible, and says how many batches a call takes.

    Args:
        cuda_graph: "auto" uses graphs on a CUDA device and runs eagerly, with a line that says why, where they cannot
            be; True raises a UserError there; False always runs eagerly.
        steps_per_execution: batches in each call of `training_step`; None: 100 with graphs, else 1. A call ends
            earlier where something is due: the end of the epoch or of the run, a validation, a grid of samples.
        compile: both networks run through `torch.compile`, but not in gradient penalties, which differentiate twice.
        rewinds: how often the run has gone back to a checkpoint before this fit; each time halves the learning rates.
        graphs: what records and replays.

    Raises:
        UserError: another value.
    """

    _module: "GAN"  # from `start` to `stop`, as is the step
    _step: StepFunction
    _started: float | None  # None once the first steps have been counted
    _may_cache: bool  # whether autocast may keep copies of weights in bf16 within a call

    def __init__(
        self,
        cuda_graph: str | bool = "auto",
        steps_per_execution: int | None = None,
        compile: bool = False,
        rewinds: int = 0,
        graphs: type[CudaGraphs] = CudaGraphs,
    ) -> None:
        require("cuda_graph", cuda_graph)
        require("steps_per_execution", steps_per_execution)
        require("compile", compile)
        self.cuda_graph, self.steps_per_execution, self.graphs = cuda_graph, steps_per_execution, graphs
        self.compile, self.rewinds = compile, rewinds
        self._watch: FiniteWatch | None = None

    def start(self, module: "GAN") -> None:
        """Chooses how the module's steps run; called after its optimizers have their state.

        Raises:
            UserError: graphs are wanted and not possible, or the loader does not say the size of its batches.
        """
        self._module, self._started = module, time.perf_counter()
        loader = module.trainer.train_dataloader
        if type(getattr(loader, "batch_size", None)) is not int:
            raise UserError(f"the training loader, a {type(loader).__name__}, needs a batch_size: that of each batch")
        for config in module.trainer.lr_scheduler_configs:
            follow_length(config.scheduler)
        first_batch = module.trainer.fit_loop.total_batch_idx + 1
        self._watch = FiniteWatch(module.device, first_batch, gradients=module.trainer.precision != "16-mixed")
        self._step = self._watched
        if self.compile:
            module.generator.compile()
            module.discriminator.compile()
        hindrance = self.hindrance(module)
        if hindrance is None:
            make_capturable(module.trainer.optimizers)
            self._step = GraphedStep(self._watched, self.graphs())
        elif module.device.type == "cuda":
            rank_zero_only(log.info)("steps       one by one: %s", hindrance)
        steps = self.steps_per_execution or (1 if hindrance else STEPS_PER_CALL)
        self._may_cache = hindrance is not None and steps == 1  # in a graph or the next step they would miss an update
        loader.steps_from = lambda position: min(steps, self._until_due(position))

    def hindrance(self, module: "GAN") -> str | None:
        """Why the steps of a fit are not graphs; None if they are. A UserError where `cuda_graph` demands them."""
        if self.cuda_graph is False:
            return "cuda_graph=false"
        hindrance = hindrance_to_graphs(module, self.graphs.device_type)
        if hindrance and self.cuda_graph is True:
            raise UserError(f"cuda_graph=true: {hindrance}; auto runs without")
        return hindrance

    def stop(self) -> None:
        """Frees the graphs."""
        self._watch = None
        del self._step, self._module

    def require_finite(self) -> None:
        """Raises DivergedError if a loss or a gradient of the steps so far is not finite."""
        if self._watch is not None:
            self._watch.check()

    def _watched(self, step: Step, images: Tensor, labels: Tensor) -> StepResult:
        caches = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(caches and self._may_cache)
        try:
            found = self._module.step(step, images, labels)
        finally:
            torch.set_autocast_cache_enabled(caches)
        assert self._watch is not None  # since `start`
        self._watch.add(found)
        return found

    def run(self, batch: object, batch_idx: int) -> list[LoggedStep]:
        """Takes a step on each of the batches that the loader gave as one; returns the steps to be logged.

        Args:
            batch: real images, uint8 [batches * N, C, 28, 28], and their labels, int64 [batches * N].
            batch_idx: place of the first batch in its epoch.

        Raises:
            UserError: another batch.
        """
        module, trainer = self._module, self._module.trainer
        images, labels = required_batch(batch, module.hparams["image_channels"], module.num_classes)
        size = trainer.train_dataloader.batch_size
        batches = list(zip(images.split(size), labels.split(size), strict=True))
        first, optimizer_steps = trainer.fit_loop.total_batch_idx, trainer.global_step
        logged = []
        for number, batch in enumerate(batches, start=first):
            rates = [optimizer.param_groups[0]["lr"] * 0.5**module.rewinds for optimizer in trainer.optimizers]
            seen = len(batch[0]) * trainer.world_size
            step = module.steps.step(number, seen, module.images_seen, rates)
            found = self._run(step, *batch)
            module.images_seen += seen
            optimizer_steps += 1 + step.trains_generator
            if step.trains_generator:
                for config in trainer.lr_scheduler_configs:
                    assert not isinstance(config.scheduler, ReduceLROnPlateau)  # `build_schedule` refuses it
                    config.scheduler.step()
            is_row = (number + 1) % (trainer.log_every_n_steps or math.inf) == 0  # Lightning's 0: never
            if is_row or batch_idx + number + 1 - first == trainer.num_training_batches:
                logged.append(LoggedStep(number, module.images_seen, found, is_row))
        self._count(len(batches), optimizer_steps)
        return logged

    def _run(self, step: Step, images: Tensor, labels: Tensor) -> StepResult:
        """One step; what it found is kept until the next one."""
        try:
            return self._step(step, images, labels)
        except RuntimeError as error:
            if not isinstance(self._step, GraphedStep) or isinstance(error, torch.OutOfMemoryError):
                raise
            reason = one_line(error)
            if self.cuda_graph is True:
                raise UserError(f"cuda_graph=true: this step cannot be recorded ({reason})") from error
            log.warning("steps       one by one: this step cannot be recorded (%s)", reason)
            self._step = self._watched
            return self._step(step, images, labels)

    def _count(self, batches: int, optimizer_steps: int) -> None:
        """Lightning sees one batch of each call: adds the others to its counters, and all optimizer steps.

        On a card it also waits for the call two before this one, and raises DivergedError if that one's values were not
        finite.
        """
        if self.compile and self._started:
            seconds, self._started = time.perf_counter() - self._started, None
            rank_zero_only(log.info)("compiled    in %.0f seconds, with the first %d batches", seconds, batches)
        trainer = self._module.trainer
        loop = trainer.fit_loop.epoch_loop
        steps = loop.manual_optimization.optim_step_progress
        steps.increment_by(optimizer_steps - steps.total.completed)
        ends = loop.batch_progress.current.ready + batches - 1 >= trainer.num_training_batches
        loop.batch_progress.increment_by(batches - 1, is_last_batch=ends)
        loop._batches_that_stepped += batches - 1
        assert self._watch is not None  # since `start`
        self._watch.check(calls_behind=2)

    def _until_due(self, position: int) -> int:
        """How many batches can run from a position in the epoch until something is due; at least one."""
        module, trainer = self._module, self._module.trainer
        batch = trainer.fit_loop.total_batch_idx + 1
        cadences = [(getattr(callback, "every_n_batches", None), batch) for callback in trainer.callbacks]
        of_run = trainer.check_val_every_n_epoch is None
        cadences.append((trainer.val_check_batch, batch if of_run else position))
        due = [every - passed % every for every, passed in cadences if every and every < math.inf]
        images = trainer.train_dataloader.batch_size * trainer.world_size
        budgets = [budget for each in trainer.callbacks if (budget := getattr(each, "max_images", None)) is not None]
        due += [math.ceil((budget - module.images_seen) / images) for budget in budgets if budget > module.images_seen]
        if trainer.max_steps > 0:  # which counts the steps of both optimizers
            steps = module.steps.discriminator_steps
            due.append((trainer.max_steps - trainer.global_step) * steps // (steps + 1))
        return max(1, min([trainer.num_training_batches - position, *due]))
