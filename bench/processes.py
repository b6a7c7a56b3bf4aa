"""Two processes against one: DDP on the CPU, with the same images in an epoch and half the batch for each process.

    python bench/processes.py [--images 6400] [--epochs 3] [overrides]

Prints the seconds of the fastest epoch and validation, without the first; whether both processes had the same weights
after every step; and the FID of the last checkpoint, measured by two processes and by one.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from lightning import Callback, Trainer

from gan.config import compose, instantiate
from gan.metrics import ImageMeasures, build_extractor
from gan.module import GAN, VALIDATION_SEED
from gan.randomness import latents

DEFAULTS = ("experiment=quick", "max_images=null", "data.batch_size=64")


class Record(Callback):
    """Records for each rank: seconds of each epoch and validation, and a checksum of all weights after each step."""

    def __init__(self, folder: str) -> None:
        self.folder, self.seconds, self.validations, self.weights = Path(folder), [], [], []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.seconds.append(0.0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, batch: object, batch_idx: int) -> None:
        self.seconds[-1] -= time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: object, batch: object, index: int) -> None:
        self.seconds[-1] += time.perf_counter()
        parts = (parameter.detach().cpu().numpy().tobytes() for parameter in pl_module.parameters())
        self.weights.append(hashlib.sha256(b"".join(parts)).hexdigest())

    def on_validation_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.validations.append(-time.perf_counter())

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self.validations[-1] += time.perf_counter()

    def on_fit_end(self, trainer: Trainer, pl_module: GAN) -> None:
        content = {"seconds": self.seconds, "validations": self.validations, "weights": self.weights}
        (self.folder / f"rank_{trainer.global_rank}.json").write_text(json.dumps(content), encoding="utf-8")


def train(folder: Path, overrides: list[str], hardware: str, batch_size: int) -> list[dict[str, list]]:
    """Trains in a folder; returns what each rank recorded."""
    command = [sys.executable, "-m", "gan", "train", *overrides, f"hardware={hardware}", f"hydra.run.dir='{folder}'"]
    command += [f"data.batch_size={batch_size}", "~callbacks.plots", "callbacks.progress_bar.refresh_rate=0"]
    command += ["+callbacks.record._target_=processes.Record", f"+callbacks.record.folder='{folder}'"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)})
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("rank_*.json"))]


def fid_of_one_process(checkpoint: Path, overrides: list[str]) -> float:
    """FID of a checkpoint's generator as in validation, but without Lightning and in one process."""
    module = GAN.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    data = instantiate(compose("train", overrides).data)
    data.prepare_data()
    data.setup()
    count = len(data.val_images)
    labels = data.val_labels if module.num_classes else None
    measures = ImageMeasures(build_extractor("mnist"), ["fid"])
    measures.real.add(data.val_images)
    z = latents(VALIDATION_SEED, 0, count, module.latent_dim)
    for index in torch.arange(count).split(500):
        measures.generated.add(module.generate(z[index], None if labels is None else labels[index]))
    return measures.compute()["fid"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6400)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    length = [f"trainer.max_epochs={arguments.epochs}", f"data.images_per_epoch={arguments.images}"]
    overrides = [*DEFAULTS, *length, *arguments.overrides]
    batch_size = compose("train", overrides).data.batch_size
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder, "one"), Path(folder, "two")
        runs = {
            f"one process, batches of {batch_size}": train(one, overrides, "cpu", batch_size),
            f"two processes, batches of {batch_size // 2}": train(two, overrides, "cpu_ddp", batch_size // 2),
        }
        for name, (first, *_) in runs.items():
            epoch, validation = min(first["seconds"][1:]), min(first["validations"][1:])
            speed = arguments.images / epoch
            print(f"{name:34} epoch {epoch:6.2f} s, {speed:5.0f} images/s, validation {validation:5.2f} s")
        weights = [rank["weights"] for rank in runs.popitem()[1]]
        same = "the same" if len(weights) == 2 and weights[0] == weights[1] else "NOT the same"
        print(f"weights of both processes after each of {len(weights[0])} steps: {same}")
        last = json.loads((two / "checkpoints" / "last.json").read_text(encoding="utf-8"))
        measured = last["metrics"]["val/fid_mnist"]
        alone = fid_of_one_process(two / "checkpoints" / "last.ckpt", overrides)
        print(f"FID by two processes {measured:.6f}, by one {alone:.6f}")


if __name__ == "__main__":
    main()
