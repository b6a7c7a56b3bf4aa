"""All measures of a set of generated images against real ones, from one forward pass of the extractor per image."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from gan.config.bounds import require_number
from gan.errors import UserError
from gan.metrics import digits, distributions, neighbours
from gan.metrics.features import Samples, Seen, from_first_rank, is_first_rank

DIGIT_MEASURES = ("digit_accuracy", "class_balance", "modes")
MEASURES = ("fid", "is", "kid", "precision", "recall", "coverage", *DIGIT_MEASURES, "memorization", "quality")


class ImageMeasures:
    """Collects real and generated images and computes the measures asked for.

    Real and training images are given once and kept, with all that can be computed of them alone; generated ones are
    reset between draws. It is no nn.Module: a callback or a module that holds one puts nothing into its checkpoint.

    Under several ranks each gives its own share of the images and all call `compute`, which measures the shares
    together on the first rank and returns the same numbers on all. The order in which images come, from one rank or
    several and in batches of any size, changes no number beyond rounding. Feature extraction runs where the extractor
    is, all else on the CPU, with random draws from `seed` and the global generator left alone.

    Args:
        extractor: of `build_extractor`, on the device it is to run on.
        measures: some of MEASURES; all that the extractor has a meaning for when not given.
        splits: of the inception score, at least 2.
        kid_subsets: random draws of KID.
        kid_subset_size: images of each set in such a draw.
        seed: of the draws of the inception score and KID.

    Attributes:
        skipped: after `compute`, the measures left out and why, each reason one line: too few images, no labels, no
            training images.

    Raises:
        UserError: an unknown measure, or one of digits with an extractor that doesn't read them.
    """

    def __init__(
        self,
        extractor: nn.Module,
        measures: Iterable[str] | None = None,
        splits: int = 10,
        kid_subsets: int = 100,
        kid_subset_size: int = 1000,
        seed: int = 0,
    ) -> None:
        known = [name for name in MEASURES if extractor.reads_digits or name not in DIGIT_MEASURES]
        self.measures = list(known if measures is None else measures)
        if wrong := [name for name in self.measures if name not in known]:
            raise UserError(f"metrics.measures={wrong}: with metrics.extractor={extractor.name} any of {known}")
        require_number("metrics.splits", splits, least=2, whole=True)
        require_number("metrics.kid_subsets", kid_subsets, least=1, whole=True)
        require_number("metrics.kid_subset_size", kid_subset_size, least=2, whole=True)
        self.extractor = extractor
        self.splits, self.kid_subsets, self.kid_subset_size, self.seed = splits, kid_subsets, kid_subset_size, seed
        self.skipped: dict[str, str] = {}
        looks = "quality" in self.measures
        self._real, self._generated, self._training = (Samples(extractor, looks) for _ in range(3))
        self._kept: dict[str, Any] = {}

    def update_real(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Adds held-out real images: uint8 [N, C, 28, 28], labels int64 [N]."""
        self._kept.clear()
        self._real.add(images, labels)

    def update_training(self, images: Tensor) -> None:
        """Adds images that were trained on, which memorization is measured against: uint8 [N, C, 28, 28]."""
        self._kept.clear()
        self._training.add(images)

    def update_generated(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Adds generated images: uint8 [N, C, 28, 28], and the labels asked for, int64 [N], where there were any."""
        self._generated.add(images, labels)

    def reset_generated(self) -> None:
        """Forgets the generated images."""
        self._generated.clear()

    def reset_real(self) -> None:
        """Forgets real and training images."""
        self._kept.clear()
        self._real.clear()
        self._training.clear()

    def compute(self) -> dict[str, float]:
        """The measures by name, none of them NaN; to be called on all ranks.

        `is` and `kid` come with `is_std` and `kid_std`; memorization is `memorization_ratio` and `memorization_share`;
        quality is `mean`, `std`, `contrast` and `sharpness` of the generated images and `real_mean` etc. of the real
        ones. The functions in `distributions`, `neighbours` and `digits` say what each of them is.
        """
        real, generated, training = self._real.all(), self._generated.all(), self._training.all()
        values: dict[str, float] = {}
        skipped: dict[str, str] = {}
        if is_first_rank():
            skipped = {
                name: reason for name in self.measures if (reason := self._lack(name, real, generated, training))
            }
            for name in self.measures:
                if name not in skipped and name not in values:
                    values |= self._measure(name, real, generated, training)
        values, self.skipped = from_first_rank((values, skipped))
        return {key: value for key, value in values.items() if key not in self.skipped}

    def seen(self) -> tuple[Seen, Seen]:
        """What the extractor saw in the real and in the generated images; to be called on all ranks."""
        return self._real.all(), self._generated.all()

    def confusion(self) -> Tensor:
        """int64 [K, K]: how many generated images with each label (row) were read as each digit (column).

        To be called on all ranks.

        Raises:
            ValueError: the generated images had no labels.
        """
        generated = self._generated.all()
        if generated.labels is None:
            raise ValueError("the generated images were given no labels")
        return digits.confusion(generated.labels, generated.digits, generated.logits.shape[1])

    def nearest_training(self, images: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
        """The training images most like some others in feature space, on a single rank.

        Args:
            images: uint8 [N, C, 28, 28].
            count: neighbours of each.

        Returns:
            Distances float64 [N, count] and indices int64 [N, count] in the order of `update_training`, nearest first.
        """
        asked = Samples(self.extractor)
        asked.add(images)
        return neighbours.nearest(asked.all().features, self._training.all().features, count)

    def least_images(self, name: str) -> tuple[int, int]:
        """How many real and how many generated images a measure takes at least."""
        return {
            "fid": (2, 2),
            "is": (0, 10 * self.splits),
            "kid": (self.kid_subset_size, self.kid_subset_size),
            "precision": (neighbours.COVERAGE_K + 1, neighbours.PRECISION_K + 1),
            "recall": (neighbours.COVERAGE_K + 1, neighbours.PRECISION_K + 1),
            "coverage": (neighbours.COVERAGE_K + 1, neighbours.PRECISION_K + 1),
            "memorization": (100, 1),
            "quality": (1, 1),
        }.get(name, (0, 1))

    def too_few(self, name: str, num_real: int, num_generated: int) -> str | None:
        """What to say where a measure takes more images than so many; None where it does not."""
        least_real, least_generated = self.least_images(name)
        if num_real >= least_real and num_generated >= least_generated:
            return None
        takes = f"{name} takes at least {least_real:,} real and {least_generated:,} generated images"
        return f"{takes}, not {num_real:,} and {num_generated:,}"

    def _lack(self, name: str, real: Seen, generated: Seen, training: Seen) -> str | None:
        if few := self.too_few(name, len(real), len(generated)):
            return few
        if name == "digit_accuracy" and generated.labels is None:
            return "digit_accuracy takes the labels that were asked for, and there are none"
        if name == "memorization" and not len(training):
            return "memorization takes the training images, and there are none"
        return None

    def _measure(self, name: str, real: Seen, generated: Seen, training: Seen) -> dict[str, float]:
        match name:
            case "fid":
                return {"fid": distributions.frechet_distance(real.features, generated.features)}
            case "is":
                mean, spread = distributions.inception_score(generated.logits, self.splits, self.seed)
                return {"is": mean, "is_std": spread}
            case "kid":
                mean, spread = distributions.kernel_distance(
                    real.features, generated.features, self.kid_subsets, self.kid_subset_size, self.seed
                )
                return {"kid": mean, "kid_std": spread}
            case "precision" | "recall" | "coverage":
                of_real = self._once(
                    "radii",
                    lambda: neighbours.radii(real.features, neighbours.PRECISION_K, neighbours.COVERAGE_K),
                )
                of_generated = neighbours.radii(generated.features, neighbours.PRECISION_K)[0]
                three = neighbours.precision_recall_coverage(real.features, generated.features, of_real, of_generated)
                named = dict(zip(("precision", "recall", "coverage"), three, strict=True))
                return {key: value for key, value in named.items() if key in self.measures}
            case "memorization":
                held_out = self._once("held_out", lambda: neighbours.nearest(real.features, training.features)[0][:, 0])
                found = neighbours.nearest(generated.features, training.features)[0][:, 0]
                ratio, share = neighbours.memorization(found, held_out)
                return {"memorization_ratio": ratio, "memorization_share": share}
            case "digit_accuracy":
                return {"digit_accuracy": digits.digit_accuracy(generated.digits, generated.labels)}
            case "class_balance":
                return {"class_balance": digits.class_balance(generated.digits, generated.logits.shape[1])}
            case "modes":
                return {"modes": float(digits.modes(generated.digits))}
            case "quality":
                of_real = {f"real_{key}": value for key, value in digits.quality(real.appearance).items()}
                return digits.quality(generated.appearance) | of_real

    def _once(self, key: str, compute: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]
