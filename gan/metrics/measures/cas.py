"""Classification accuracy score: whether generated digits can stand in for real ones when a classifier is trained.

The classifier has nothing in common with the digit extractor, sees no augmented image, and is trained for a fixed
number of epochs: nothing is chosen by the accuracy.
"""

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from gan.atomic_write import write_json
from gan.config.allowed import COUNT, Number
from gan.images import unit
from gan.metrics.measures.base import Comparison, LabeledImages, MeanMeasure, Pixels
from gan.metrics.precision import full_precision
from gan.optional_files import read_json

VERSION = 1  # of the classifier and its training: another one has other numbers
BATCH_SIZE = 64
NUM_CLASSES = 10

log = logging.getLogger("gan")


class ClassificationAccuracy(MeanMeasure):
    """CAS: the accuracy on real held-out images of a classifier trained on generated ones (Ravuri and Vinyals 2019).

    `cas_plus_real` is that of one trained on the generated and the real training images together. Its floor, which is
    here the goal, is the same classifier trained on the real training images; it is computed once and kept on the disk.
    It is trained for `epochs` on `num_images` of a model's images, each digit equally often.
    """

    name = "cas"
    values = {"cas": "higher", "cas_plus_real": "higher"}
    bounds = (0, 1)
    needs_labels = True
    needs_pixels = True
    only_by_name = True
    num_classes = NUM_CLASSES
    least_real = 1
    least_generated = 2  # batch normalization

    def __init__(self, num_images: int = 60_000, epochs: int = 2) -> None:
        Number(least=NUM_CLASSES, whole=True).require("cas_num_images", num_images)
        COUNT.require("cas_epochs", epochs)
        self.num_pixels, self.epochs = num_images, epochs

    def of_each(self, sets: Comparison) -> dict[str, Tensor]:
        """Which of the held-out images each classifier recognizes: bool [N]."""
        return sets.generated.once(self._train_all, sets.pixels, sets.generated.features.device)

    def cost(self, generated: Sequence[int], floors: Sequence[Pixels], device: torch.device) -> str | None:
        real, channels = len(floors[0].training), floors[0].training.images.shape[1]
        sizes = [size for count in generated for size in (count, count + real)]
        sizes += [real for pixels in floors if "wrong" not in read_json(self._kept(pixels))]
        total, speed = self.epochs * sum(sizes), images_per_second(channels, device)
        few = [f"{count:,} images, not {self.num_pixels:,}" for count in {*generated} if count < self.num_pixels]
        return (
            f"cas trains {len(sizes)} classifiers for {self.epochs} epochs, {total:,} images in all: "
            f"about {total / speed / 60:.1f} minutes at {speed:,.0f} images/s{''.join(f'; of {text}' for text in few)}"
        )

    def _train_all(self, pixels: Pixels, device: torch.device) -> dict[str, Tensor]:
        generated, real = pixels.generated, pixels.training
        if generated is None:
            return {"cas": self._of_real(pixels, device)}
        both = LabeledImages(torch.cat([generated.images, real.images]), torch.cat([generated.labels, real.labels]))
        trainings = {"cas": (generated, pixels.name), "cas_plus_real": (both, f"{pixels.name} plus real")}
        return {
            key: recognized(train(images, self.epochs, pixels.seed, f"cas: {name}", device), pixels.real)
            for key, (images, name) in trainings.items()
        }

    def _of_real(self, pixels: Pixels, device: torch.device) -> Tensor:
        kept = self._kept(pixels)
        wrong = read_json(kept).get("wrong")
        if wrong is None:
            network = train(pixels.training, self.epochs, pixels.seed, "cas: real images", device)
            wrong = recognized(network, pixels.real).logical_not().nonzero()[:, 0].tolist()
            facts = {"images": len(pixels.training), "epochs": self.epochs, "seed": pixels.seed}
            try:
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_json(kept, {**facts, "accuracy": 1 - len(wrong) / len(pixels.real), "wrong": wrong})
            except OSError as error:
                log.warning("cas of the real images is not kept: %s (%s)", error.strerror, kept)
        correct = torch.ones(len(pixels.real), dtype=torch.bool)
        correct[wrong] = False
        return correct

    def _kept(self, pixels: Pixels) -> Path:
        """The file of the real images' result, named by all that it depends on."""
        digest = hashlib.sha256(f"{VERSION} {torch.__version__} {self.epochs} {pixels.seed}".encode())
        for part in (pixels.training, pixels.real):
            for tensor in (part.images, part.labels):
                digest.update(f"{list(tensor.shape)}".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
        return cache / "mnist-gan" / f"cas_{digest.hexdigest()[:24]}.json"


def classifier(channels: int) -> nn.Sequential:
    """A LeNet of 185,000 parameters: float [N, C, 28, 28] in [0, 1] -> logits [N, 10]."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 32, 5, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 5, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(1024, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()),
        nn.Linear(128, NUM_CLASSES),
    )


def train(examples: LabeledImages, epochs: int, seed: int, name: str, device: torch.device) -> nn.Sequential:
    """A classifier trained on the images, in evaluation mode; a progress bar shows its name."""
    size = min(BATCH_SIZE, len(examples))
    batches = len(examples) // size
    images, labels = examples.images.to(device), examples.labels.to(device)
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda), full_precision(device), torch.enable_grad():
        torch.manual_seed(seed)
        network = classifier(images.shape[1]).to(device).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * batches, pct_start=0.2)
        orders = (torch.randperm(len(images))[: batches * size].split(size) for _ in range(epochs))
        steps = (chosen for order in orders for chosen in order)
        for chosen in tqdm(steps, name, total=epochs * batches, unit=" batches", leave=False, disable=None):
            chosen = chosen.to(device)
            optimizer.zero_grad()
            cross_entropy(network(unit(images[chosen])), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def recognized(network: nn.Module, examples: LabeledImages) -> Tensor:
    """Which images are classified as their labels: bool [N] on the CPU."""
    device = next(network.parameters()).device
    with full_precision(device):
        digits = torch.cat([network(unit(part.to(device))).argmax(1) for part in examples.images.split(1000)])
    return digits.cpu() == examples.labels


def images_per_second(channels: int, device: torch.device) -> float:
    """How fast a classifier is trained here, from a few batches."""
    images = torch.zeros(BATCH_SIZE, channels, 28, 28, dtype=torch.uint8)
    examples = LabeledImages(images, torch.zeros(BATCH_SIZE, dtype=torch.int64))
    train(examples, 3, 0, "", device)
    started = time.perf_counter()
    train(examples, 10, 0, "", device)
    return 10 * BATCH_SIZE / (time.perf_counter() - started)
