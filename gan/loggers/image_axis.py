"""The axis of this project's loggers: the real images seen so far."""

from lightning import LightningModule


class ImageAxis:
    """A logger that places each row at the images seen; Lightning hands it the number of batches.

    Lightning can replace that number by a metric named `step`. It is not used here: the row would lose its epoch and
    its batches, and what a user's callback logs without that metric would stand at another place on the axis.
    """

    module: LightningModule | None = None

    def follow(self, module: LightningModule) -> None:
        """Takes the module that counts the images. A subclass may drop what was logged after them.

        The callback MidEpoch calls it when training starts: a resumed module has its `images_seen` then.
        """
        self.module = module
