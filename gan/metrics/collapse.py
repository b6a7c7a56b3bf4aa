"""Signs of mode collapse in a set of generated images."""

import torch
from torch import Tensor

from gan.metrics.features import ImageFeatures

RARE = 0.1  # a class is missing below this part of its share among the real images
CHANCE = 0.001  # of a false alarm for a generator that has the classes of the real images
ALIKE = 0.4  # images of a class are too alike below this part of the real ones' mean distance
IMAGES = 100  # of each class, between which distances are taken
ADVICE = "more diversity: lower learning rates, a gradient penalty, or model.diversity_weight above 0"


def signs_of_collapse(real: ImageFeatures, generated: ImageFeatures) -> str | None:
    """One line that says which predicted classes are missing, or whose images are too alike; None where none is."""
    classes = real.digits.unique().tolist()
    missing, alike = [], []
    for label in classes:
        of_real, of_generated = real.features[real.digits == label], generated.features[generated.digits == label]
        found, expected = len(of_generated), len(of_real) / len(real) * len(generated)
        # The probability of a Poisson variable to be `found` or less: few images of many classes miss some by chance.
        chance = torch.special.gammaincc(torch.tensor(found + 1.0), torch.tensor(expected)).item()
        if found < RARE * expected and chance < CHANCE / len(classes):
            missing.append(label)
        elif min(len(of_real), len(of_generated)) > 1 and _spread(of_generated) < ALIKE * _spread(of_real):
            alike.append(label)
    signs = [f"hardly any image of the classes {missing}"] if missing else []
    signs += [f"images of the classes {alike} are nearly the same"] if alike else []
    return f"mode collapse: {' and '.join(signs)}; {ADVICE}" if signs else None


def _spread(features: Tensor) -> Tensor:
    """The mean distance between two images."""
    return torch.pdist(features[:IMAGES]).mean()
