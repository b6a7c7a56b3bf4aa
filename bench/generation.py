"""Speed of generation: `gan generate` and a bare loop over the same network, measured in turns in one process.

    python bench/generation.py [--images 100000] [--rounds 3] [--ckpt FILE]

Prints images per second of a loop of forward passes that keeps no images, of `gan generate format=npz` (generation and
writing), their ratio, and, if onnxruntime is installed, of the same weights as ONNX. Then it prints the peak memory of
`gan generate` for a tenth of the images and for all, each in a process of its own. Without --ckpt the network is an
untrained one of `model=conditional`.
"""

import argparse
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import torch

from gan.config import compose
from gan.generate import generate
from gan.inference import CHUNK, DigitGenerator


def untrained(path: Path) -> Path:
    """Writes a checkpoint of `model=conditional` before its first step."""
    import hydra
    from omegaconf import OmegaConf

    cfg = OmegaConf.to_container(compose("train", ["model=conditional"]).model)
    shape = {name: cfg[name] for name in ("latent_dim", "num_classes")} | {"image_channels": 1}
    network = hydra.utils.instantiate(cfg["generator"], **shape)
    weights = {f"generator_ema.{name}": value for name, value in network.state_dict().items()}
    options = {**shape, "generator": cfg["generator"]}
    torch.save({"state_dict": weights, "hyper_parameters": options, "images_seen": 0, "epoch": 0}, path)
    return path


@torch.inference_mode()
def bare_loop(generator: DigitGenerator, count: int) -> float:
    """Seconds of the network alone for `count` random latents, in batches of the same size."""
    labels = torch.arange(CHUNK) % generator.num_classes if generator.num_classes else None
    labels = None if labels is None else labels.to(generator.device)
    started = time.perf_counter()
    for _ in range(-(-count // CHUNK)):
        images = generator.network(torch.randn(CHUNK, generator.latent_dim, device=generator.device), labels)
    images.cpu()
    return time.perf_counter() - started


def timed_generate(ckpt: Path, count: int, folder: str) -> float:
    """Seconds of `gan generate`, from the config to the file. Loading the checkpoint is included."""
    output = [f"output_dir='{folder}'", f"output='{folder}/images.npz'", "overwrite=true"]
    cfg = compose("generate", [f"ckpt='{ckpt}'", f"num_images={count}", *output])
    started = time.perf_counter()
    generate(cfg)
    return time.perf_counter() - started


def export_onnx(ckpt: Path, folder: str) -> Path | None:
    if find_spec("onnxruntime") is None:
        return None
    from gan.export import export

    output = Path(folder) / "generator.onnx"
    return export(compose("export", [f"ckpt='{ckpt}'", "format=onnx", f"output='{output}'", f"output_dir='{folder}'"]))


def peak_memory(ckpt: Path, count: int) -> float:
    """Peak memory in MiB of a process of its own."""
    command = [sys.executable, __file__, "--ckpt", str(ckpt), "--images", str(count), "--only-memory"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    return float(ended.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ckpt", type=Path)
    parser.add_argument("--only-memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.getLogger("gan").setLevel(logging.WARNING)
    count = arguments.images

    with tempfile.TemporaryDirectory() as folder:
        ckpt = arguments.ckpt or untrained(Path(folder) / "untrained.ckpt")
        if arguments.only_memory:
            timed_generate(ckpt, count, folder)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            return
        generator, onnx = DigitGenerator.open(ckpt), export_onnx(ckpt, folder)
        bare_loop(generator, 4 * CHUNK)  # the first calls choose their kernels
        ratios = []
        for _ in range(arguments.rounds):
            bare, ours = bare_loop(generator, count), timed_generate(ckpt, count, folder)
            ratios.append(bare / ours)
            line = f"bare {count / bare:7.0f} images/s   gan generate {count / ours:7.0f} images/s   {ratios[-1]:.3f}"
            if onnx:
                line += f"   onnx {count / timed_generate(onnx, count, folder):7.0f} images/s"
            print(line)
        print(f"median ratio {statistics.median(ratios):.3f}")
        for some in (max(1, count // 10), count):
            print(f"{some:9,} images: peak memory {peak_memory(ckpt, some):.0f} MiB")


if __name__ == "__main__":
    main()
