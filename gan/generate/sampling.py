"""What `gan generate` draws: which seed, latent and digit each image has, whatever the number asked for."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from gan.errors import UserError
from gan.inference import DigitGenerator, Select, chunks

UNNAMED_COUNT = 64
ROWS = 8
MAX_WAY = 10_000


class Drawing(Protocol):
    """Images by index.

    Attributes:
        count: how many there are when the user names no number.
        columns: of a sheet, where one is natural.
        labelled: whether digits are asked for.
    """

    count: int
    columns: int | None
    labelled: bool

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        """Images start..stop-1 in pieces: uint8 [n, C, 28, 28]."""

    def labels(self, start: int, stop: int) -> Tensor:
        """The digits asked for, int64 [stop - start]; -1 where none was."""


class Samples:
    """Images that each have a latent of their own or, in a class sweep, share it with the others of their row.

    Args:
        generator: the model.
        digits: image i shows digits[i mod len(digits)]; None: all classes in turn, or none of an unconditional model.
        seeds: take turns, each with one image of each of the digits named.
        truncation, select: as for `DigitGenerator.generate`.
        sweep: whether this is a class sweep.

    Raises:
        UserError: digits that the model does not draw.
    """

    def __init__(
        self,
        generator: DigitGenerator,
        digits: Sequence[int] | None,
        seeds: Sequence[int],
        truncation: float | None = None,
        select: Select = None,
        sweep: bool = False,
    ) -> None:
        if sweep and generator.num_classes is None:
            raise UserError("mode=class_sweep: this model is unconditional, no latent has an image of each digit")
        generator.labels(digits, 0, 1, select)
        if sweep and digits is None:
            digits = range(generator.num_classes)
        self.generator, self.digits, self.seeds, self.sweep = generator, digits, list(seeds), sweep
        self.truncation, self.select = truncation, select
        self.turn = len(digits) if digits else 1
        rows = ROWS if sweep and len(seeds) == 1 else len(seeds)
        self.count = UNNAMED_COUNT if digits is None and rows == 1 else self.turn * rows
        self.columns = self.turn if self.turn > 1 else None
        self.labelled = digits is not None or generator.num_classes is not None

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        for piece in chunks(start, stop):
            yield self._piece(*piece)

    def labels(self, start: int, stop: int) -> Tensor:
        labels = self.generator.labels(self.digits, start, stop, self.select)
        return torch.full((stop - start,), -1) if labels is None else labels

    def inputs(self, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        """Latents and labels, for `DigitGenerator.draw`, of images start..stop-1; those of a `select` have none."""
        z = self._rows(start, stop, lambda *span: self.generator.latents(*span, self.truncation))
        return z, self.generator.labels(self.digits, start, stop)

    def _piece(self, start: int, stop: int) -> Tensor:
        if self.select is None:
            return self.generator.draw(*self.inputs(start, stop))

        def selected(seed: int, first: int, end: int) -> Tensor:
            return self.generator.generate(end - first, self.digits, seed, first, self.truncation, self.select)

        return self._rows(start, stop, selected)

    def _rows(self, start: int, stop: int, of_seed: Callable[[int, int, int], Tensor]) -> Tensor:
        """Rows start..stop-1, from a function of a seed and its own first index and end."""
        index = torch.arange(start, stop)
        turns, within = index // self.turn, index % self.turn
        seed_number, own_turn = turns % len(self.seeds), turns // len(self.seeds)
        own_index = own_turn if self.sweep else own_turn * self.turn + within
        found, places = [], []
        for number in seed_number.unique().tolist():
            mine = (seed_number == number).nonzero().flatten()
            first, last = int(own_index[mine[0]]), int(own_index[mine[-1]])
            found.append(of_seed(self.seeds[number], first, last + 1)[own_index[mine] - first])
            places.append(mine)
        return torch.cat(found)[torch.cat(places).argsort()]


class Way:
    """Images on the way from seed to seed and digit to digit.

    Args:
        generator: the model.
        digits: that of seed k is digits[k mod len(digits)]; None: all in turn, or none of an unconditional model.
        seeds: a single one is followed by those after it, as many as the number of images has room for.
        truncation: as for `DigitGenerator.generate`.
        steps: images from one seed to the next.
        closed: the way returns to its start, and no image is on it twice.
        num_images: a multiple of `steps`; None: each of several seeds once, or else each of several digits.

    Raises:
        UserError: digits that the model does not draw, more of them than seeds, or a number of images that ends between
            two seeds.
    """

    def __init__(
        self,
        generator: DigitGenerator,
        digits: Sequence[int] | None,
        seeds: Sequence[int],
        truncation: float | None,
        steps: int,
        closed: bool,
        num_images: int | None,
    ) -> None:
        every_digit = None if generator.num_classes is None else range(generator.num_classes)
        shown = every_digit if digits is None else digits
        if len(seeds) > 1:
            legs = len(seeds) if closed else len(seeds) - 1
        elif num_images is not None:
            legs = num_images // steps
        else:
            legs = len(shown) if shown is not None and len(shown) > 1 else ROWS
        if num_images not in (None, legs * steps) or legs < 1:
            allowed = (
                f"a multiple of steps={steps}" if len(seeds) == 1 else f"{legs * steps} with these seeds and steps"
            )
            raise UserError(f"num_images={num_images}: it must be {allowed}, so that every seed is reached")
        if legs * steps > MAX_WAY:
            raise UserError(f"num_images={legs * steps}: a way has up to {MAX_WAY:,}; mode=sample draws any number")
        if len(seeds) == 1:
            seeds = range(seeds[0], seeds[0] + legs + (not closed))
        if digits is not None and len(digits) > len(seeds):
            raise UserError(
                f"digits={list(digits)}: the way has {len(seeds)} seeds with one digit each; name more seeds"
            )
        labels = generator.labels(digits, 0, len(seeds))
        ends = None if labels is None else [*labels.tolist(), *labels[:1].tolist()]
        if closed:
            drawn = generator.interpolate([*seeds, seeds[0]], ends, steps + 1, truncation)[:, :-1]
        else:
            drawn = generator.interpolate(seeds, ends, steps, truncation)
        self._images = drawn.flatten(0, 1)
        self._labels = torch.full((len(self._images),), -1)
        if ends is not None:  # the nearer end's
            nearer = (torch.arange(steps) * 2 > (steps if closed else steps - 1)).long()
            self._labels = torch.tensor(ends)[(torch.arange(legs).unsqueeze(1) + nearer).flatten()]
        self.count, self.columns, self.labelled = legs * steps, steps, ends is not None

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        yield self._images[start:stop]

    def labels(self, start: int, stop: int) -> Tensor:
        return self._labels[start:stop]
