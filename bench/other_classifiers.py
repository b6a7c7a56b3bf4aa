"""Do independent classifiers agree? Accuracy and FID of generated digits by classifiers that no run has seen.

    python bench/other_classifiers.py CHECKPOINT... [--seed 0]

Two kinds of networks, each with hard and with smoothed labels, are trained here on the 55,000 training images. Each
reads the test images, training images, and 10,000 images of each checkpoint, 0 to 9 in turn. FID is of the features
before the last layer, against the test images and against as many training images of each digit, in units of what
10,000 random training images have against the test images: so it compares between features of other scales.
"""

import argparse
import itertools
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan.data import MNISTDataModule
from gan.images import unit
from gan.inference import DigitGenerator
from gan.metrics.measures.distributions import Gaussian, frechet_distance

COUNT = 10_000
EPOCHS = 4
BATCH_SIZE = 128


def pooling() -> nn.Sequential:
    """A max-pooling network of the LeNet kind: 128 features."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(800, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10)),
    )


def strided() -> nn.Sequential:
    """Strided convolutions with batch normalization: 128 features."""
    channels = (1, 32, 64, 128)
    layers = [
        nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU())
        for before, after in itertools.pairwise(channels)
    ]
    head = (nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    return nn.Sequential(*layers, *head)


def trained(network: nn.Sequential, images: Tensor, labels: Tensor, smoothing: float) -> nn.Sequential:
    """The network after a few epochs of uint8 [N, 1, 28, 28] and int64 [N], in evaluation mode."""
    optimizer = torch.optim.AdamW(network.parameters())
    batches = len(images) // BATCH_SIZE
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images))[: batches * BATCH_SIZE].split(BATCH_SIZE):
            optimizer.zero_grad()
            cross_entropy(network(unit(images[chosen])), labels[chosen], label_smoothing=smoothing).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def read(network: nn.Sequential, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features float64 [N, 128] and digits int64 [N] of uint8 [N, 1, 28, 28]."""
    features = torch.cat([network[:-2](unit(part)) for part in images.split(500)])
    return features.double(), network[-1](features).argmax(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = MNISTDataModule()
    data.prepare_data()
    data.setup()
    torch.manual_seed(arguments.seed)
    real, digits = data.train_images, data.train_labels
    random = torch.randperm(len(real))
    even = torch.cat([random[digits[random] == digit][: COUNT // 10] for digit in range(10)])
    random = random[:COUNT]
    sets = {
        "test images": (data.test_images, data.test_labels),
        "training images": (real[random], digits[random]),
        "training images, even": (real[even], digits[even]),
    }
    for path in arguments.checkpoints:
        generator = DigitGenerator.open(path)
        sets[path] = (generator.generate(COUNT, seed=0), generator.labels(None, 0, COUNT))

    per_digit = min(digits.bincount())
    balanced = torch.cat([torch.nonzero(digits == digit)[:per_digit, 0] for digit in range(10)])
    kinds = [(build, smoothing) for build in (pooling, strided) for smoothing in (0.0, 0.05)]
    columns = {"accuracy": [], "FID against the test images": [], f"FID against {per_digit:,} of each digit": []}
    for build, smoothing in kinds:
        network = trained(build(), real, digits, smoothing)
        readings = [(read(network, images), labels) for images, labels in sets.values()]
        features = [Gaussian.of(found) for (found, _), _ in readings]
        floor = frechet_distance(features[0], features[1])
        learnt = Gaussian.of(read(network, real[balanced])[0])
        accuracies = [(said == labels).double().mean().item() for (_, said), labels in readings]
        distances = [[frechet_distance(of, found) / floor for found in features] for of in (features[0], learnt)]
        for column, values in zip(columns.values(), (accuracies, *distances), strict=True):
            column.append(values)
    names = [f"{build.__name__}, {smoothing}" for build, smoothing in kinds]
    for title, column in columns.items():
        print(f"\n| {title} |", " | ".join([*names, "mean"]), "|\n|", " | ".join(["---"] * (len(names) + 2)), "|")
        for name, *values in zip(sets, *column, strict=True):
            shown = "{:.2%}" if title == "accuracy" else "{:.2f}"
            print(f"| {name} |", " | ".join(shown.format(value) for value in (*values, fmean(values))), "|")


if __name__ == "__main__":
    main()
