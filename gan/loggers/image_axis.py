"""The axis of this project's loggers: the real images seen so far."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gan.module import GAN

log = logging.getLogger("gan")


class ImageAxis:
    """A logger that places each row at the images seen; Lightning hands it the number of batches.

    Lightning can replace that number by a metric named `step`. It is not used here: the row would lose its epoch and
    its batches, and what a user's callback logs without that metric would stand at another place on the axis.
    """

    module: GAN | None = None
    _failed = False

    def follow(self, module: GAN) -> None:
        """Takes the module that counts the images. A subclass may drop what was logged after them.

        The callback MidEpoch calls it when training starts: a resumed module has its `images_seen` then.
        """
        self.module = module

    def images_at(self, row: Mapping[str, Any], step: int | None) -> int:
        """The place of a row: it may be older than the module's count, which is that after the newest batch."""
        return int(row.get("images_seen", (step or 0) if self.module is None else self.module.images_seen))

    @contextmanager
    def optional_write(self) -> Iterator[None]:
        """What cannot be written here (a full disk, say) costs one warning in a run, and the training continues."""
        try:
            yield
        except (OSError, ValueError) as error:  # Lightning makes a ValueError of any error of TensorBoard's
            reason = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(reason, OSError):
                raise
            if not self._failed:
                self._failed = True
                log.warning("%s cannot be written, rows are missing there: %s", type(self).__name__, reason)
