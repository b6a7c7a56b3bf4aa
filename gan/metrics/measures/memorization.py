"""Whether the generator copies its training images."""

import logging
import math

from torch import Tensor

from gan.metrics.bootstrap import Resamples
from gan.metrics.measures.base import Comparison, Measure
from gan.metrics.measures.neighbours import nearest

log = logging.getLogger("gan")


class Memorization(Measure):
    """Whether generated digits lie closer to training digits than held-out ones do (after Meehan et al. 2020).

    The ratio is the median distance of generated digits to their nearest training digit over that of held-out digits:
    about 1 for new digits, towards 0 for copies, and for a generator of the most typical digits only. The share is that
    of generated digits closer to a training digit than 99 in 100 held-out ones are: 0.01 for new digits, towards 1 for
    copies. There is no share where one in 100 held-out digits is a training digit, no ratio where every second is.
    """

    name = "memorization"
    # A ratio above 1 is no better than 1.
    values = {"memorization_ratio": None, "memorization_share": "lower"}
    bounds = (0, math.inf)
    in_feature_space = True
    needs_training = True
    least_real = 100

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 100, 100  # the share is that of one image in a hundred

    def compute(self, sets: Comparison) -> dict[str, float]:
        generated, scale, close = self._distances(sets)
        values = _defined(generated.median() / scale, (generated < close).double().mean(), scale, close)
        if missing := [key for key in self.values if key not in values]:
            log.warning("%s left out: held-out images have the features of training images", " and ".join(missing))
        return {key: value.item() for key, value in values.items()}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        generated, scale, close = (values.cpu() for values in self._distances(sets))
        ordered, order = generated.sort()
        reached = resamples.generated_counts[:, order].cumsum(1) * 2 >= len(ordered)
        medians = ordered[reached.int().argmax(1)]
        return _defined(medians / scale, resamples.generated_means(generated < close), scale, close)

    def _distances(self, sets: Comparison) -> tuple[Tensor, Tensor, Tensor]:
        """Of each generated image to the nearest training image; the median and 1st percentile of held-out images'."""
        held_out = sets.real.once(nearest, sets.real.features, sets.training.features)[0][:, 0]
        generated = sets.generated.once(nearest, sets.generated.features, sets.training.features)[0][:, 0]
        return generated, held_out.median(), held_out.quantile(0.01)


def _defined(ratio: Tensor, share: Tensor, scale: Tensor, close: Tensor) -> dict[str, Tensor]:
    """The values that are defined: a distance of 0 is that of held-out images which are training images."""
    values = {"memorization_ratio": (ratio, scale), "memorization_share": (share, close)}
    return {key: value for key, (value, distance) in values.items() if distance > 0}
