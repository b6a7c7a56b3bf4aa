"""The axis of this project's loggers: the real images seen so far."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from gan.module import GAN
from gan.optional_files import OptionalFiles


class ImageAxis:
    """A logger that places each row at the images seen; Lightning hands it the number of batches.

    Lightning could take the place from a metric named `step`, but what a user's callback logs does not have one.
    """

    module: GAN | None = None
    pending_rows: Callable[[], object] | None = None  # hands over the rows of older batches, which come late on a card

    @cached_property
    def files(self) -> OptionalFiles:
        return OptionalFiles(expected=OSError)

    def follow(self, module: GAN) -> None:
        """Takes the module that counts the images; MidEpoch calls it when training starts or resumes."""
        self.module = module

    def images_at(self, row: Mapping[str, Any], step: int | None) -> int:
        """The place of a row: it may be older than the module's count, which is that after the newest batch.

        Before a row without a place of its own come those of older batches: W&B drops a row that is behind a newer one.
        """
        if "images_seen" not in row and self.pending_rows is not None:
            self.pending_rows()
        return int(row.get("images_seen", (step or 0) if self.module is None else self.module.images_seen))
