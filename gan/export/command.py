"""Writes a checkpoint's generator as one file: `gan export ckpt=last format=onnx output=digits.onnx`.

A model card and a sheet of samples are written beside it. What was written is read back and compared first.
"""

import logging
import os
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from gan.checkpoint_files import read_checkpoint
from gan.config import settle_output_dir
from gan.errors import UserError, check_installed
from gan.export.model_card import card, newest_measures, read_measures
from gan.generate.sampling import Samples
from gan.images import grid
from gan.inference import DigitGenerator
from gan.inference.exported_files import (
    FACTS,
    OPSET,
    read_about,
    read_export,
    save_onnx,
    save_safetensors,
)
from gan.inference.reading import example_inputs

log = logging.getLogger("gan")
FORMATS = ("safetensors", "onnx")
DTYPES = {"float32": torch.float32, "float16": torch.float16}
BATCHES = (1, 2, 7, 64)
TOLERANCE = {"float32": 1e-4, "float16": 0.02}


def export(cfg: DictConfig) -> Path:
    """Writes the generator, its card (.md) and its sheet of samples (.png); all of them or nothing.

    Args:
        cfg: of `conf/export.yaml`.

    Returns:
        The file's absolute path.

    Raises:
        UserError: a value, a checkpoint or a folder that cannot be used, a file that is there already, or images that
            differ from the checkpoint's.
    """
    folder = settle_output_dir(cfg, "export")
    form = cfg.format or ("onnx" if str(cfg.output).endswith(".onnx") else "safetensors")
    if form not in FORMATS or cfg.dtype not in DTYPES or not isinstance(cfg.overwrite, bool):
        allowed = "they may be safetensors or onnx, float32 or float16, true or false"
        raise UserError(f"format={cfg.format}, dtype={cfg.dtype}, overwrite={cfg.overwrite}: {allowed}")
    if not isinstance(cfg.license, str | None):
        raise UserError(f"license={cfg.license}: an identifier such as mit, or null")
    if form == "onnx":
        if cfg.dtype != "float32":
            raise UserError(f"dtype={cfg.dtype}: an ONNX file has float32 weights; use format=safetensors")
        check_installed("format=onnx", "export", "onnx", "onnxscript", "onnxruntime")
    path = Path(str(cfg.output)).absolute() if cfg.output is not None else folder / f"generator.{form}"
    if path.suffix != f".{form}":
        raise UserError(f"output={cfg.output}: with format={form} its name ends in .{form}")
    written = [path, path.with_suffix(".md"), path.with_suffix(".png")]
    there = [file for file in written if file.exists() and not (cfg.overwrite and file.is_file())]
    if there:
        raise UserError(f"output={path}: {there[0]} is there already; overwrite=true replaces files")
    generator = DigitGenerator.open(cfg.ckpt, "ckpt", "cpu", cfg.trust)
    ckpt = generator.path
    if ckpt.suffix == ".onnx":
        raise UserError(f"ckpt={ckpt}: an ONNX file cannot be exported again; name a checkpoint or a .safetensors file")
    evaluation = read_measures(Path(str(cfg.measures)), ckpt) if cfg.measures is not None else newest_measures(ckpt)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export-", dir=path.parent) as stage:
            staged = [Path(stage, file.name) for file in written]
            difference = _write(generator, _about(ckpt, generator), staged, evaluation, cfg)
            for source, target in zip(staged, written, strict=True):
                os.replace(source, target)
    except OSError as error:
        raise UserError(f"output={path}: it cannot be written there ({error.strerror or error})") from error
    log.info("largest difference to the checkpoint's images in [-1, 1]: %.2g", difference)
    log.info("%s", path)
    return path


def _write(
    generator: DigitGenerator,
    about: dict[str, Any],
    files: list[Path],
    evaluation: dict[str, Any] | None,
    cfg: DictConfig,
) -> float:
    """Writes the export, its card and its sheet; returns the largest difference of its images to the checkpoint's."""
    path, card_path, sheet = files
    form = path.suffix[1:]
    expected = _draws(generator.network, about)
    generator.network.to(DTYPES[cfg.dtype]).float()  # version and sheet are those of the weights as written
    about["version"] = generator.info()["version"]
    if form == "onnx":
        save_onnx(generator.network, about, path)
    else:
        save_safetensors(generator.network, about, path, DTYPES[cfg.dtype])
    network, _ = read_export(path, "output", cfg.trust)
    difference = max(float((a - b).abs().max()) for a, b in zip(_draws(network, about), expected, strict=True))
    if not difference <= TOLERANCE[cfg.dtype]:
        found = f"images of the file differ from the checkpoint's by {difference:.2g}"
        raise UserError(f"format={form}, dtype={cfg.dtype}: {found}, more than {TOLERANCE[cfg.dtype]:g}")
    digits = range(min(generator.num_classes, 10)) if generator.num_classes else None
    samples = Samples(generator, digits, [0], sweep=bool(digits))
    grid(torch.cat(list(samples.images(0, samples.count))), samples.columns).save(sheet)
    made = f"Written by `gan export format={form} dtype={cfg.dtype}`"
    made += f" with opset {OPSET}" if form == "onnx" else ""
    made += f"; its images differ from the checkpoint's by {difference:.2g} at most, in [-1, 1]."
    card_path.write_text(card(about, path, sheet, made, evaluation, cfg.license))
    return difference


@torch.inference_mode()
def _draws(network: nn.Module, about: dict[str, Any]) -> list[Tensor]:
    return [network(*example_inputs(about, count)) for count in BATCHES]


def _about(ckpt: Path, generator: DigitGenerator) -> dict[str, Any]:
    """The facts of a generator, the hyperparameters it was trained with and, where it is known, the command."""
    info = generator.info()
    if ckpt.suffix == ".safetensors":
        known = read_about(ckpt, "ckpt")
        training = {name: known[name] for name in ("hyper_parameters", "command") if name in known}
    else:
        training = {"hyper_parameters": dict(read_checkpoint(ckpt, "ckpt")["hyper_parameters"])}
        overrides = ckpt.parent.parent / ".hydra" / "overrides.yaml"
        if overrides.is_file():
            training["command"] = shlex.join(["gan", "train", *OmegaConf.to_container(OmegaConf.load(overrides))])
    return {**{name: info[name] for name in FACTS}, **training}
