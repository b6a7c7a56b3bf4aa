"""A GAN of one's own with a hook inside each step."""

from gan.module import GAN


class Watched(GAN):
    def on_after_backward(self):
        """A replay would not call it."""
