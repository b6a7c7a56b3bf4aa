"""The images of seeded requests, kept in memory."""

from collections import OrderedDict
from collections.abc import Hashable

import torch
from torch import Tensor

from gan.serve import prometheus

ENTRY_BYTES = 1024  # about what a key and a tensor take beside their pixels


class ImageCache:
    """Images by what was requested. When it is full, the least recently used are dropped.

    Args:
        max_bytes: memory for all entries; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._entries: OrderedDict[Hashable, Tensor] = OrderedDict()

    def get(self, key: Hashable) -> Tensor | None:
        """The images of a request, uint8 [N, C, 28, 28]; None if they are not here."""
        images = self._entries.get(key)
        prometheus.CACHE.labels("miss" if images is None else "hit").inc()
        if images is not None:
            self._entries.move_to_end(key)
        return images

    def put(self, key: Hashable, images: Tensor) -> None:
        """Keeps a copy, since images may be part of a whole batch's memory."""
        if key in self._entries or size(images) > self.max_bytes:
            return
        self._entries[key] = torch.from_numpy(images.numpy().copy())  # `clone` would wait for torch's thread
        self.bytes += size(images)
        while self.bytes > self.max_bytes:
            self.bytes -= size(self._entries.popitem(last=False)[1])
        prometheus.CACHE_BYTES.set(self.bytes)


def size(images: Tensor) -> int:
    return images.nbytes + ENTRY_BYTES
