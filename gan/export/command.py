"""Writes a checkpoint's generator as one file: `gan export ckpt=last format=onnx output=digits.onnx`.

A model card and a grid of samples are written beside it. Before that, the new file is read and its images are compared.
"""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from gan.atomic_write import atomic_files
from gan.config import settle_output_dir
from gan.config.early_checks import check_bounds
from gan.errors import UserError, check_installed
from gan.export.model_card import card, newest_measures, read_measures
from gan.generate.array_files import require_absent
from gan.generate.modes import Samples
from gan.images import enlarge, grid
from gan.inference import DigitGenerator
from gan.inference.exported_files import OPSET, file_metadata, read_export, write_onnx, write_safetensors
from gan.inference.network_loading import example_inputs, weights_checksum
from gan.runs.records import run_folder, training_command

log = logging.getLogger("gan")
DTYPES = {"float32": torch.float32, "float16": torch.float16}
TOLERANCE = {"float32": 1e-4, "float16": 0.02}
BATCHES = (1, 2, 7, 64)
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def export(cfg: DictConfig) -> Path:
    """Writes the generator, its model card (.md) and its grid of samples (.png): all of them or nothing.

    Returns:
        The generator file's absolute path.

    Raises:
        UserError: a value, a checkpoint or a folder that cannot be used, a file that exists already, or images that
            differ from the checkpoint's.
    """
    form, path = _output(cfg, settle_output_dir(cfg, "export"))
    files = [path, path.with_suffix(".md"), path.with_suffix(".png")]
    existing = [file for file in files if os.path.lexists(file) and not (cfg.overwrite and file.is_file())]
    if existing:
        raise UserError(f"output={path}: {existing[0]} is there already; overwrite=true replaces files")
    generator = DigitGenerator.open(cfg.ckpt, "ckpt", "cpu", cfg.trust)
    ckpt = generator.path
    assert ckpt is not None  # what `open` returns has one
    if ckpt.suffix == ".onnx":
        raise UserError(f"ckpt={ckpt}: an ONNX file cannot be exported again; name a checkpoint or a .safetensors file")
    facts = dict(generator.facts)
    if ckpt.suffix != ".safetensors" and (run := run_folder(ckpt)):  # an exported file says it itself
        facts["command"] = training_command(run)
    version = weights_checksum(generator.network)
    if cfg.measures is None:
        evaluation = newest_measures(ckpt, version)
    else:
        evaluation = read_measures(Path(str(cfg.measures)), ckpt, version)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_files(files) as temporary:
            difference = _write(generator, facts, form, temporary, evaluation, cfg)
            if not cfg.overwrite:
                require_absent(files)
    except OSError as error:
        raise UserError(f"output={path}: it cannot be written there ({error.strerror or error})") from error
    log.info("largest difference to the checkpoint's images in [-1, 1]: %.2g", difference)
    log.info("%s", path)
    return path


def _output(cfg: DictConfig, folder: Path) -> tuple[str, Path]:
    """The format and the file's absolute path; all values of the config are checked."""
    check_bounds("export", cfg)
    form = cfg.format or ("onnx" if str(cfg.output).endswith(".onnx") else "safetensors")
    if cfg.license is not None and not (isinstance(cfg.license, str) and IDENTIFIER.fullmatch(cfg.license)):
        raise UserError(f"license={cfg.license}: an identifier such as mit, or null")
    if form == "onnx":
        if cfg.dtype != "float32":
            raise UserError(f"dtype={cfg.dtype}: format=onnx takes float32")
        check_installed("format=onnx", "export", "onnx", "onnxscript", "onnxruntime")
    path = Path(str(cfg.output)).absolute() if cfg.output is not None else folder / f"generator.{form}"
    if path.suffix != f".{form}":
        raise UserError(f"output={cfg.output}: with format={form} its name ends in .{form}")
    return form, path


def _write(
    generator: DigitGenerator,
    facts: dict[str, Any],
    form: str,
    files: Sequence[Path],
    evaluation: dict[str, Any] | None,
    cfg: DictConfig,
) -> float:
    """Writes the export, its card and its grid. Returns the largest difference of its images to the checkpoint's."""
    path, card_path, grid_path = files
    expected = _example_images(generator.network, facts)
    if not torch.equal(_example_images(generator.network, facts), expected):
        raise UserError(f"ckpt={generator.path}: its images differ from call to call; does its network draw numbers?")
    generator.network.to(DTYPES[cfg.dtype]).float()  # version and grid are those of the weights in the file
    metadata = file_metadata({**facts, "version": generator.info()["version"]})
    made = f"Written by `gan export format={form} dtype={cfg.dtype}`"
    if form == "onnx":
        write_onnx(generator.network, metadata, path)
        made += f" with opset {OPSET}"
    else:
        write_safetensors(generator.network, metadata, path, DTYPES[cfg.dtype])
    network, _ = read_export(path, "output", cfg.trust)
    difference = float((_example_images(network, metadata) - expected).abs().max())  # NaN if one of them is
    if not difference <= TOLERANCE[cfg.dtype]:
        reason = f"images of the file differ from the checkpoint's by {difference:.2g}"
        raise UserError(f"format={form}, dtype={cfg.dtype}: {reason}, more than {TOLERANCE[cfg.dtype]:g}")
    digits = range(min(generator.num_classes, 10)) if generator.num_classes else None
    samples = Samples(generator, digits, [0], class_sweep=bool(digits))
    images = torch.cat(list(samples.images(0, samples.default_count)))
    enlarge(grid(images, samples.columns)).save(grid_path)
    made += f"; its images differ from the checkpoint's by {difference:.2g} at most, in [-1, 1]."
    text = card(metadata, path, made, evaluation, cfg.license)
    card_path.write_text(text, encoding="utf-8", errors="surrogateescape")
    return difference


@torch.inference_mode()
def _example_images(network: nn.Module, metadata: dict[str, Any]) -> Tensor:
    return torch.cat([network(*example_inputs(metadata, count)) for count in BATCHES])
