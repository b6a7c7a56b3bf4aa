"""How the images look, whatever they show: brightness, contrast and sharpness of the pixels."""

import torch
from torch import Tensor

from gan.metrics.bootstrap import Resamples
from gan.metrics.measures.base import Comparison, Measure

LOOKS = ("mean", "std", "contrast", "sharpness")


def quality(appearances: Tensor) -> dict[str, float]:
    """The look of a set by name, from the `appearance` [N, 3] of its images; all are of pixels in [0, 1].

    `mean` and `std` are over all pixels of all images, `contrast` and `sharpness` are means over the images.
    """
    return {look: value.item() for look, value in _looks(_moments(appearances).mean(0)).items()}


def _moments(appearances: Tensor) -> Tensor:
    """Brightness, contrast, sharpness and the mean square of the pixels of each image: float64 [N, 4]."""
    brightness, contrast, sharpness = appearances.double().unbind(1)
    return torch.stack([brightness, contrast, sharpness, contrast.square() + brightness.square()], dim=1)


def _looks(means: Tensor) -> dict[str, Tensor]:
    """The look of a set from the means of its images' moments: [..., 4]."""
    brightness, contrast, sharpness, square = means.unbind(-1)
    deviation = (square - brightness.square()).clamp_min(0).sqrt()
    return dict(zip(LOOKS, (brightness, deviation, contrast, sharpness), strict=True))


class Quality(Measure):
    """The look of the generated images beside that of the real ones, which it should be close to."""

    name = "quality"
    values = dict.fromkeys((*LOOKS, *(f"real_{look}" for look in LOOKS)))
    least_real = 1

    def compute(self, sets: Comparison) -> dict[str, float]:
        of_real = sets.real.once(quality, sets.real.appearance)
        return quality(sets.generated.appearance) | {f"real_{look}": value for look, value in of_real.items()}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        return _looks(resamples.generated_means(_moments(sets.generated.appearance)))
