"""Do independent classifiers agree? Digit accuracy of a checkpoint's images, read by the extractor and by another CNN.

    python bench/second_classifier.py CHECKPOINT [--num-images 10000]

The other one is a max-pooling network of the LeNet kind, trained here for a few epochs on the 55,000 training images.
"""

import argparse

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gan.data import MNISTDataModule
from gan.images import unit
from gan.inference import DigitGenerator
from gan.metrics import load_digit_classifier


def train_second(images: torch.Tensor, labels: torch.Tensor, epochs: int = 4, batch_size: int = 128) -> nn.Module:
    """A LeNet-like classifier of digits, from uint8 [N, 1, 28, 28] and int64 [N]."""
    torch.manual_seed(1)
    network = nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Dropout(0.5), nn.Linear(500, 10)),
    )
    optimizer = torch.optim.Adam(network.parameters())
    steps = epochs * (len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images))[: len(images) // batch_size * batch_size].split(batch_size):
            optimizer.zero_grad()
            cross_entropy(network(unit(images[chosen])), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    read = torch.cat([network(unit(part)).argmax(1) for part in images.split(500)])
    return (read == labels).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--num-images", type=int, default=10_000)
    arguments = parser.parse_args()
    generator = DigitGenerator.from_checkpoint(arguments.checkpoint)
    images, labels = generator.generate(arguments.num_images, seed=0), generator.labels(None, 0, arguments.num_images)
    data = MNISTDataModule()
    data.prepare_data()
    data.setup()
    second = train_second(data.train_images, data.train_labels)
    print(f"{'':20}extractor   second classifier")
    for name, pair in {
        "MNIST test images": (data.test_images, data.test_labels),
        "generated images": (images, labels),
    }.items():
        print(f"{name:20}{accuracy(load_digit_classifier(), *pair):9.2%}   {accuracy(second, *pair):9.2%}")


if __name__ == "__main__":
    main()
