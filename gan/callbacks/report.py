"""What a run reports: at its start its device, data and sizes, at its end its results."""

import logging
import math
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import Callback
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.model_summary import ModelSummary

from gan.atomic_write import write_atomic, write_json
from gan.callbacks.validation import ValidationMeasures
from gan.config import in_multirun
from gan.config.overrides import path_text
from gan.config.targets import packages_of
from gan.data import Source
from gan.hardware import device_name, precision_name
from gan.inference.exported_files import file_metadata, write_safetensors
from gan.inference.network_loading import describe, weights_checksum
from gan.metrics.measures.base import ARROWS, Direction
from gan.module import GAN
from gan.optional_files import OptionalFiles, read_json
from gan.published_data import CLASSIFIERS
from gan.runs.newest import BEST, LAST, resume_command
from gan.runs.records import finite, training_command
from gan.trainer_types import Trainer, early_stops

SIZES = "generator {generator:,}, discriminator {discriminator:,}"

log = logging.getLogger("gan")


class RunReport(Callback):
    """Logs device, precision, data and sizes before training, and writes the files that describe the run.

    These are `networks.txt`, then at the end `generator.safetensors` (the averaged generator),
    `discriminator.safetensors` and `summary.json`. The minutes of a resumed run include those before it was resumed.
    """

    _minutes_before = 0.0

    def __init__(self) -> None:
        self._files = OptionalFiles()

    def state_dict(self) -> dict[str, Any]:
        return {"minutes": self._minutes()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._minutes_before = state_dict["minutes"]

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        self._started = time.perf_counter()

    @rank_zero_only
    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:
        folder, data = Path(trainer.default_root_dir), trainer.datamodule
        limits = {"image": pl_module.hparams["max_images"], "epoch": max(0, trainer.max_epochs)}
        ends = [f"{limit:,} {unit}{'s' * (limit > 1)}" for unit, limit in limits.items() if limit]
        length = " or ".join(ends) or "until stopped"
        for name, value in {
            "device": f"{device_name(trainer.strategy.root_device)}, processes: {trainer.world_size}",
            "precision": precision_name(trainer.precision, trainer.strategy.root_device),
            "data": f"{data.source.name}, {len(data.train_images):,} training images in batches of {data.batch_size}",
            "length": length,
            "parameters": SIZES.format(**_sizes(pl_module)),
            "output": folder,
        }.items():
            log.info("%-10s  %s", name, value)
        with self._files.writing(folder / "networks.txt") as path:
            write_atomic(path, f"{_layers(pl_module)}\n\n{pl_module}\n")

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, pl_module: GAN) -> None:
        """Writes the summary after all other files: a run that has one is complete."""
        folder, minutes = Path(trainer.default_root_dir), self._minutes()
        options, command, data = dict(pl_module.hparams), training_command(folder), trainer.datamodule.source
        last = read_json(folder / LAST.with_suffix(".json"))
        epochs = last.get("epoch", trainer.current_epoch)  # Lightning does not count an unfinished one that it resumes
        for name, network in {"generator": pl_module.generator_ema, "discriminator": pl_module.discriminator}.items():
            with self._files.writing(folder / f"{name}.safetensors") as path:
                facts = describe(network, options, data.name, epochs, pl_module.images_seen)
                facts |= {"version": weights_checksum(network), "command": command}
                write_safetensors(network, {"network": name, **file_metadata(facts)}, path)
        measures = next((each for each in trainer.callbacks if isinstance(each, ValidationMeasures)), None)
        floor, better = (measures.floor(trainer), measures.directions) if measures else ({}, {})
        summary = {
            "command": command or shlex.join(sys.argv),
            "data": data.name,
            "epochs": epochs,
            "images_seen": pl_module.images_seen,
            "minutes": round(minutes, 2),
            "device": device_name(trainer.strategy.root_device),
            "precision": str(trainer.precision),
            "parameters": _sizes(pl_module),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "metrics": last.get("metrics") or finite(trainer.callback_metrics),
            "floor": finite(floor),
        }
        write_json(folder / "summary.json", summary)
        whole = epochs == trainer.max_epochs and trainer.is_last_batch  # Lightning counts an unfinished epoch as done
        if not whole and pl_module.images_seen < (pl_module.hparams["max_images"] or math.inf):
            for reason in _early_ends(trainer):
                log.info("ended       %s", reason)
        log.info("done        %.1f minutes in all, %s images; see %s", minutes, f"{pl_module.images_seen:,}", folder)
        if table := results_table(folder, floor, better):
            log.info("\n%s", table)
        if not in_multirun() and (folder / LAST).is_file():
            commands = next_commands(folder, data, pl_module.num_classes, options)
            log.info("\nnext:\n%s", "\n".join(f"  {command}" for command in commands))

    def _minutes(self) -> float:
        return self._minutes_before + (time.perf_counter() - self._started) / 60


def _early_ends(trainer: Trainer) -> Iterator[str]:
    """What has ended a run before its end, and how it resumes."""
    timers = [callback.time_remaining() for callback in trainer.callbacks if isinstance(callback, Timer)]
    if any(left is not None and left <= 0 for left in timers):
        yield "trainer.max_time is used up; a longer one, or null, resumes the run"
    for callback in early_stops(trainer):
        yield f"by EarlyStopping of {callback.monitor}; without it, or with more patience, the run resumes"


def results_table(run: Path, floor: Mapping[str, float], better: Mapping[str, Direction | None]) -> str:
    """The measures of the last and of the best checkpoint and, where it is known, their floor; empty without any."""
    last, best = (read_json(run / path.with_suffix(".json")) for path in (LAST, BEST))
    columns = {"last": last.get("metrics") or {}}
    if best.get("images_seen") != last.get("images_seen"):
        columns[f"best, at {best.get('images_seen', 0):,} images"] = best.get("metrics") or {}
    names = sorted({name for values in columns.values() for name in values if name.startswith("val/")})
    if not names:
        return ""
    if floor:
        columns["floor"] = floor
    rows = [["measure", *columns]]
    for name in names:
        values = [values.get(name) for values in columns.values()]
        cells = ["-" if value is None else f"{value:.4g}" for value in values]
        rows.append([f"{name}{ARROWS[better.get(name)]}", *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def next_commands(run: Path, source: Source, num_classes: int | None, options: Mapping[str, Any]) -> list[str]:
    """Three commands, quoted for a shell, for a run that is complete; `options` are those of its model."""
    newest = resume_command(run) == "gan train ckpt_path=last"
    chosen = ["ckpt=last" if newest else f"ckpt={path_text(run / LAST)}"]
    own = {*packages_of(dict(options)), type(source).__module__.partition(".")[0]} - {"gan", "torch"}
    chosen += [f"trust=[{','.join(sorted(own))}]"] if own else []
    measured = [] if source.name in CLASSIFIERS or source.shows_digits else ["metrics.extractor=inception"]
    shown = ["digits=[3,1,4]"] if num_classes == 10 else ["num_images=64"]
    commands = (["evaluate", *chosen, *measured], ["generate", *chosen, *shown], ["serve", *chosen])
    return [shlex.join(["gan", *command]) for command in commands]


def _layers(module: GAN) -> str:
    """Name, type and parameters of each layer, and the networks' sizes."""
    summary = ModelSummary(module, max_depth=-1)
    width = max(map(len, summary.layer_names))
    layers = zip(summary.layer_names, summary.layer_types, summary.param_nums, strict=True)
    lines = [f"{name:{width}}  {kind:24}  {size:12,}" for name, kind, size in layers]
    sizes = f"parameters: {SIZES.format(**_sizes(module))}"
    return "\n".join([f"{'layer':{width}}  {'type':24}  {'parameters':>12}", *lines, "", sizes])


def _sizes(module: GAN) -> dict[str, int]:
    """The parameters of each network that learns."""
    networks = {"generator": module.generator, "discriminator": module.discriminator}
    return {name: sum(each.numel() for each in network.parameters()) for name, network in networks.items()}
