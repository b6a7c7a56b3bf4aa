"""The modes of `gan generate`: which seed, latent and label each image has, however many are generated."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from gan.config.bounds import DIRECTIONS
from gan.errors import UserError
from gan.inference import DigitGenerator, Select, chunks
from gan.inference.directions import move

PATH_MODES = ("interpolate", "walk")
DEFAULT_COUNT = 64
DEFAULT_ROWS = 8
DEFAULT_STEPS = 12
STRIP_STEPS = 11  # odd: the middle one is the image itself
MAX_PATH = 10_000


class Samples:
    """`sample`: each image has a latent of its own. `class_sweep`: the images of a row have one latent.

    Arguments and errors are those of `DigitGenerator.generate`. Seeds take turns, each for one image of each digit.

    Attributes:
        default_count: number of images if the user gives none.
        columns: of a grid of the images; None: no preference.
        labelled: whether the images have labels.
    """

    def __init__(
        self,
        generator: DigitGenerator,
        digits: Sequence[int] | None,
        seeds: Sequence[int],
        truncation: float | None = None,
        select: Select = None,
        class_sweep: bool = False,
    ) -> None:
        if class_sweep and generator.num_classes is None:
            raise UserError("mode=class_sweep: this model is unconditional, so it has no classes to show in columns")
        generator.labels(digits, 0, 1, select)
        if class_sweep and digits is None and generator.num_classes:
            digits = range(generator.num_classes)
        self.generator, self.digits, self.seeds = generator, digits, list(seeds)
        self.truncation, self.select, self.class_sweep = truncation, select, class_sweep
        self.images_per_turn = len(digits) if digits else 1
        rows = DEFAULT_ROWS if class_sweep and len(seeds) == 1 else len(seeds)
        self.default_count = DEFAULT_COUNT if digits is None and rows == 1 else self.images_per_turn * rows
        self.columns = self.images_per_turn if self.images_per_turn > 1 else None
        self.labelled = digits is not None or generator.num_classes is not None

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        """Images start..stop-1 in pieces: uint8 [n, C, 28, 28]."""
        spans = chunks(start, stop)
        if self.select is None:
            return self.generator.sample_chunks(self.inputs(*span) for span in spans)
        return (self._take_turns(*span, self._selected) for span in spans)

    def labels(self, start: int, stop: int) -> Tensor:
        """The labels of images start..stop-1: int64 [stop - start]; -1 for images without one."""
        labels = self.generator.labels(self.digits, start, stop, self.select)
        return torch.full((stop - start,), -1, device="cpu") if labels is None else labels

    def seed_of(self, index: int) -> int:
        """The seed of an image."""
        return self.seeds[index // self.images_per_turn % len(self.seeds)]

    def inputs(self, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        """Latents and labels of images start..stop-1, for `DigitGenerator.sample`. Only without `select`."""
        z = self._take_turns(start, stop, partial(self.generator.latents, truncation=self.truncation))
        return z, self.generator.labels(self.digits, start, stop)

    def _selected(self, seed: int, first: int, end: int) -> Tensor:
        return self.generator.generate(end - first, self.digits, seed, first, self.truncation, self.select)

    def _take_turns(self, start: int, stop: int, rows_of_seed: Callable[[int, int, int], Tensor]) -> Tensor:
        """Rows start..stop-1, each from the seed whose turn it is; rows_of_seed(seed, first, end) has those of one."""
        if len(self.seeds) == 1 and not self.class_sweep:
            return rows_of_seed(self.seeds[0], start, stop)
        index = torch.arange(start, stop, device="cpu")
        turns, within = index // self.images_per_turn, index % self.images_per_turn
        seed_number, own_turn = turns % len(self.seeds), turns // len(self.seeds)
        own_index = own_turn if self.class_sweep else own_turn * self.images_per_turn + within
        rows, places = [], []
        for number in seed_number.unique().tolist():
            mine = (seed_number == number).nonzero().flatten()
            first, last = int(own_index[mine[0]]), int(own_index[mine[-1]])
            rows.append(rows_of_seed(self.seeds[number], first, last + 1)[own_index[mine] - first])
            places.append(mine)
        return torch.cat(rows)[torch.cat(places).argsort()]


class Strips:
    """`direction`: a row for each image of `sample`, which is in the middle; its latent moves along a direction.

    Without a name, each image has a row for each direction. `span`: standard deviations from the middle to an end.
    """

    def __init__(self, middles: Samples, name: str | None, steps: int | None, span: float) -> None:
        generator, steps = middles.generator, steps or STRIP_STEPS
        names = [name] if name is not None else list(generator.directions) or DIRECTIONS
        directions = torch.stack([generator.direction(name) for name in names])
        numbers = torch.arange(1 - steps, steps, 2, dtype=torch.float32, device="cpu")
        amounts = numbers / (steps - 1) * span  # unlike `linspace`, 0 in the middle
        shifts = amounts.view(1, steps, 1) * directions.unsqueeze(1)
        self.shifts = shifts.flatten(0, 1)  # of all images with one middle
        rows = middles.default_count
        if middles.digits is None and len(middles.seeds) == 1:
            rows = min(generator.num_classes or DEFAULT_ROWS, 10)
        self.default_count = rows * len(self.shifts)
        self.middles, self.labelled = middles, middles.labelled
        self.columns = steps

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        return self.middles.generator.sample_chunks(self._inputs(*span) for span in chunks(start, stop))

    def labels(self, start: int, stop: int) -> Tensor:
        first, last, within = self._rows(start, stop)
        return self.middles.labels(first, last)[within]

    def _inputs(self, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        first, last, within = self._rows(start, stop)
        z, labels = self.middles.inputs(first, last)
        z = move(z[within], self.shifts[torch.arange(start, stop, device="cpu") % len(self.shifts)])
        return z, None if labels is None else labels[within]

    def _rows(self, start: int, stop: int) -> tuple[int, int, Tensor]:
        """The range first..last-1 of the middles of images start..stop-1, and where in it each image's middle is."""
        of_middle = torch.arange(start, stop, device="cpu") // len(self.shifts)
        return int(of_middle[0]), int(of_middle[-1]) + 1, of_middle - of_middle[0]


class LatentPath:
    """`interpolate`: images on the latent path from seed to seed, and from digit to digit. `walk`: the path is closed.

    From one seed to the next there are `steps` images. A single seed is followed by the seeds after it, in as many
    segments as `num_images` says, or else in one for each of several digits. A closed path has no image twice. A
    UserError if `num_images` ends between two seeds, or for more digits than seeds or digits that the model lacks.
    """

    def __init__(
        self,
        generator: DigitGenerator,
        digits: Sequence[int] | None,
        seeds: Sequence[int],
        truncation: float | None,
        steps: int | None,
        closed: bool,
        num_images: int | None,
    ) -> None:
        steps = steps or DEFAULT_STEPS
        num_shown = generator.num_classes if digits is None else len(digits)
        if len(seeds) > 1:
            segments = len(seeds) if closed else len(seeds) - 1
        elif num_images is not None:
            segments = num_images // steps
        else:
            segments = num_shown if num_shown and num_shown > 1 else DEFAULT_ROWS
        count = segments * steps
        least = 2 if closed and len(seeds) == 1 else 1  # from a seed to itself all images are the same
        if num_images not in (None, count) or segments < least:
            multiple = f"a multiple of steps={steps}, from {least * steps:,} on"
            allowed = multiple if len(seeds) == 1 else f"{count} with these seeds and steps"
            raise UserError(f"num_images={num_images}: it must be {allowed}, so that the path ends at a seed")
        if count > MAX_PATH:
            raise UserError(f"num_images={count}: a latent path has up to {MAX_PATH:,}; mode=sample has no limit")
        if len(seeds) == 1:
            seeds = range(seeds[0], seeds[0] + segments + (not closed))
        if digits is not None and len(digits) > len(seeds):
            raise UserError(f"digits={list(digits)}: the path has {len(seeds)} seeds of one digit each; add more seeds")
        labels = generator.labels(digits, 0, len(seeds))
        ends = None if labels is None else [*labels.tolist(), *labels[:1].tolist()]
        if closed:  # the last image of a segment is the first of the next one
            images = generator.interpolate([*seeds, seeds[0]], ends, steps + 1, truncation)[:, :-1]
        else:
            images = generator.interpolate(seeds, ends, steps, truncation)
        self._images = images.flatten(0, 1)
        self._labels = torch.full((count,), -1, device="cpu")
        if ends is not None:  # the label of the nearer end
            nearer = [2 * step > (steps if closed else steps - 1) for step in range(steps)]
            of_images = [ends[segment + near] for segment in range(segments) for near in nearer]
            self._labels = torch.tensor(of_images, device="cpu")
        self.default_count, self.labelled = count, ends is not None
        self.columns = steps

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        yield self._images[start:stop]

    def labels(self, start: int, stop: int) -> Tensor:
        return self._labels[start:stop]


ImageSequence = Samples | Strips | LatentPath
