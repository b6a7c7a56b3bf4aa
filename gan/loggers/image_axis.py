"""The axis of this project's loggers: the real images seen so far."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from gan.module import GAN
from gan.optional_files import OptionalFiles


class ImageAxis:
    """A logger that places each row at the images seen; Lightning hands it the number of batches.

    Lightning could take the place from a metric named `step`, but what a user's callback logs does not have one.
    """

    module: GAN | None = None

    @cached_property
    def files(self) -> OptionalFiles:
        return OptionalFiles(expected=OSError)

    def follow(self, module: GAN) -> None:
        """Takes the module that counts the images; MidEpoch calls it when training starts or resumes."""
        self.module = module

    def images_at(self, row: Mapping[str, Any], step: int | None) -> int:
        """The place of a row: it may be older than the module's count, which is that after the newest batch."""
        return int(row.get("images_seen", (step or 0) if self.module is None else self.module.images_seen))
