"""Trains the extractor of a data set and writes its safetensors file: about 7 minutes on one core.

    python -m gan.metrics.train_extractor [data=mnist] [--seed 0] [--epochs 14] [--threads 1] [--output FILE]

Without an output the file is written into this package, where `gan train` and `gan evaluate` look for it. The same
seed, machine and number of threads give the same weights, bit for bit. Nothing is chosen on the test images. A new
file for MNIST needs its checksum in `extractor.CHECKSUM`.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_weights
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from tqdm import tqdm

from gan.atomic_write import write_atomic
from gan.config import compose, explain, instantiate
from gan.config.allowed import COUNT
from gan.data import MNISTDataModule
from gan.errors import UserError
from gan.images import unit
from gan.metrics.extractor import VERSION, DigitClassifier, tensors_checksum, weights_file
from gan.metrics.measures.base import LabeledImages
from gan.metrics.measures.cas import recognized
from gan.published_data import CLASSIFIERS
from gan.safetensors_files import pack

BATCH_SIZE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="data=NAME", help="the data set, and settings such as data.dir")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    try:
        for key in ("epochs", "threads"):
            COUNT.require(f"--{key}", getattr(arguments, key))
        data = chosen_data(arguments.overrides)
        output = arguments.output or weights_file(data.source.name)
        if output.is_dir() or not os.access(output.absolute().parent, os.W_OK):
            raise UserError(f"--output {output}: a file in a folder that exists and can be written to")
        data.prepare_data()
        data.setup("fit")
        if len(data.train_images) < BATCH_SIZE:
            raise UserError(
                f"data={data.source.name}: {len(data.train_images)} images to train on, {BATCH_SIZE} at least"
            )
    except (UserError, HydraException, OmegaConfBaseException) as error:
        parser.exit(2, f"train_extractor: {explain(error)}\n")
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)

    classifier = train(data.train_images, data.train_labels, arguments.seed, arguments.epochs)
    held_out = LabeledImages(data.val_images, data.val_labels), LabeledImages(data.test_images, data.test_labels)
    validation, test = (recognized(classifier, images).double().mean().item() for images in held_out)
    facts = {"seed": arguments.seed, "epochs": arguments.epochs, "threads": arguments.threads, "accuracy": test}
    facts |= {"data": data.source.name}
    checksum = save(classifier, output, {name: str(value) for name, value in facts.items()})
    print(f"accuracy on {len(data.val_images):,} validation images: {validation:.2%}")
    print(f"accuracy on {len(data.test_images):,} test images: {test:.2%}")
    print(f"{output}: {output.stat().st_size:,} bytes, checksum {checksum}")


def chosen_data(overrides: Sequence[str]) -> MNISTDataModule:
    """The data of `data=NAME` and other settings of `data`; a UserError for one that has no classifier."""
    if wrong := [text for text in overrides if not text.startswith(("data=", "data."))]:
        raise UserError(f"{wrong[0]}: data=NAME, or a setting such as data.dir=FOLDER")
    data: MNISTDataModule = instantiate(compose("evaluate", overrides).data, offline_fallback=False)
    if data.source.name not in CLASSIFIERS:
        raise UserError(f"data={data.source.name}: {', '.join(CLASSIFIERS)} have a classifier of their own")
    return data


def train(images: Tensor, labels: Tensor, seed: int, epochs: int) -> DigitClassifier:
    """A classifier trained on augmented images; the moving average of its weights, BatchNorm folded into them."""
    # Random numbers come from the seed alone, and the global generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = ClassifierInTraining().to(memory_format=torch.channels_last)
        average = AveragedModel(classifier, multi_avg_fn=get_ema_multi_avg_fn(0.999))
        optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.01)
        batches = len(images) // BATCH_SIZE
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * batches)
        for epoch in range(epochs):
            order = torch.randperm(len(images))[: batches * BATCH_SIZE].split(BATCH_SIZE)
            losses = torch.zeros(batches)
            bar = tqdm(order, desc=f"epoch {epoch + 1}/{epochs}", mininterval=10, disable=None)
            for index, chosen in enumerate(bar):
                loss = nn.functional.cross_entropy(classifier(augment(unit(images[chosen]))), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                average.update_parameters(classifier)
                losses[index] = loss.detach()
            print(f"epoch {epoch + 1}: loss {losses.mean():.4f}", flush=True)
        # The features are standardized on all images, undistorted and without dropout.
        trained = average.module
        assert isinstance(trained, ClassifierInTraining)  # its copy
        trained.dropout.p = 0
        update_bn(map(unit, images.split(1000)), trained)
        return fold_batch_norm(trained.eval())


def augment(images: Tensor) -> Tensor:
    """Rotates by up to 12 degrees, scales by 0.9..1.1, shears by up to 0.1, shifts by up to 2 pixels, at random."""
    random = torch.rand(6, len(images)) * 2 - 1
    angle, shear = random[0] * 0.21, random[1] * 0.1
    wide, high = 1 + random[2] * 0.1, 1 + random[3] * 0.1
    shift = random[4:] * 2 / 14
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([wide * cos, shear - sin, shift[0]], dim=1)
    second = torch.stack([shear + sin, high * cos, shift[1]], dim=1)
    places = nn.functional.affine_grid(torch.stack([first, second], dim=1), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, places, align_corners=False)


class ClassifierInTraining(DigitClassifier):
    """The classifier with BatchNorm after each convolution and on the features, and dropout before these."""

    def __init__(self) -> None:
        super().__init__()
        for index, layer in enumerate(self.stages):
            if isinstance(layer, nn.Conv2d):
                self.stages[index] = nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels))
        self.dropout = nn.Dropout(0.3)
        self.norm = nn.BatchNorm1d(self.num_features, affine=False)

    def features(self, images: Tensor) -> Tensor:
        return self.norm(self.project(self.dropout(self.stages(images))))


def fold_batch_norm(trained: ClassifierInTraining) -> DigitClassifier:
    """A plain classifier that computes what `trained` does in evaluation mode."""
    folded = DigitClassifier().eval()
    for index, layer in enumerate(trained.stages):
        folded.stages[index] = fuse_conv_bn_eval(*layer) if isinstance(layer, nn.Sequential) else layer
    linear, norm = trained.project, trained.norm
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    ones = torch.ones_like(mean)
    folded.project.weight, folded.project.bias = fuse_linear_bn_weights(
        linear.weight, linear.bias, mean, variance, norm.eps, ones, torch.zeros_like(ones)
    )
    folded.head = trained.head
    return folded


def save(classifier: DigitClassifier, path: Path, facts: dict[str, str]) -> str:
    """Writes weights, version, checksum and the facts given, in an atomic write; returns the checksum."""
    weights = classifier.state_dict()
    checksum = tensors_checksum(weights)
    write_atomic(path, pack(weights, {"version": VERSION, "sum": checksum, **facts}))
    return checksum


if __name__ == "__main__":
    main()
