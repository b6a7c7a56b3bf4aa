"""Which test images does no generated digit reach? By class: how many, and what they have in common.

    python bench/missed.py CHECKPOINT [--seed 0] [--picture FILE.png]

A test image is missed if it is in no 3rd-neighbour ball of 10,000 digits with the same labels, as for recall. Beside it
stand 10,000 training images in place of the digits. Slant, thickness, width and height are in standard deviations from
the mean of the class: near 0.8 for images like all others. The picture has the 16 of each class that are farthest from
the digits, in units of the balls, and below each the digit that is nearest to it.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from gan.data import MNIST
from gan.images import grid
from gan.inference import DigitGenerator
from gan.inference.directions import measure_shapes
from gan.metrics.extractor import DigitExtractor
from gan.metrics.features import FeatureCollector, ImageFeatures
from gan.metrics.measures.neighbours import PRECISION_K, nearest, radii, squared_distances

COUNT = 10_000
COLUMNS = 16


def seen(extractor: DigitExtractor, images: Tensor, labels: Tensor) -> ImageFeatures:
    samples = FeatureCollector(extractor)
    samples.add(images, labels)
    return samples.all()


def distances_in_balls(real: ImageFeatures, others: ImageFeatures) -> Tensor:
    """How far each real image is from the others, 1 at the edge of the nearest ball: float64 [N]."""
    (balls,) = radii(others.features, PRECISION_K)
    parts = [(squared / balls).amin(1) for _, squared in squared_distances(real.features, others.features)]
    return torch.cat(parts).sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    data = MNIST()
    data.prepare()
    images, labels = data.test()
    others, their_labels = data.train()
    generator = DigitGenerator.open(arguments.checkpoint)
    digits = generator.sample(generator.latents(arguments.seed, 0, len(labels)), labels)
    chosen = torch.randperm(len(others), generator=torch.Generator().manual_seed(arguments.seed))[:COUNT]
    extractor = DigitExtractor()
    real, generated = seen(extractor, images, labels), seen(extractor, digits, labels)
    training = seen(extractor, others[chosen], their_labels[chosen])
    far, far_from_training = distances_in_balls(real, generated), distances_in_balls(real, training)
    missed, unsure = far > 1, real.logits.softmax(1).gather(1, labels[:, None])[:, 0] < 0.99
    shapes = measure_shapes(images)
    print("| digit | missed | by training images | slant | thickness | width | height | unsure | unsure of all |")
    print("|", " | ".join(["---"] * 9), "|")
    rows = []
    for digit in range(10):
        of = labels == digit
        usual = ((shapes - shapes[of].mean(0)) / shapes[of].std(0)).abs()[of & missed].mean(0)
        shares = [mask[of].double().mean() for mask in (missed, far_from_training > 1)]
        doubts = [unsure[mask].double().mean() for mask in (of & missed, of)]
        cells = [*(f"{share:.1%}" for share in shares), *(f"{value:.2f}" for value in usual)]
        print("|", " | ".join([str(digit), *cells, *(f"{share:.1%}" for share in doubts)]), "|")
        farthest = of.nonzero()[:, 0][far[of].argsort(descending=True)[:COLUMNS]]
        closest = nearest(real.features[farthest], generated.features)[1][:, 0]
        rows += [images[farthest], 255 - digits[closest]]
    print(f"\nmissed: {missed.double().mean():.1%}; by training images: {(far_from_training > 1).double().mean():.1%}")
    print(f"missed by the digits alone: {(missed & (far_from_training <= 1)).double().mean():.1%}")
    if arguments.picture:
        grid(torch.cat(rows), COLUMNS).save(arguments.picture)


if __name__ == "__main__":
    main()
