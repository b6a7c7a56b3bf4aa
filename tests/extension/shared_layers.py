"""Networks whose state is not one contiguous tensor under each name."""

import torch
from torch import Tensor, nn

from gan.networks import ConvDiscriminator


class SharedGenerator(nn.Module):
    """An embedding under two names, a parameter that is not contiguous, a view of it, and state that is no tensor."""

    def __init__(self, latent_dim: int, num_classes: int | None, image_channels: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(num_classes or 1, latent_dim)
        self.by_name = nn.ModuleDict({"classes": self.classes})
        self.body = nn.Linear(latent_dim, 784)
        self.body.weight = nn.Parameter(torch.randn(latent_dim, 784).mul_(0.1).t())
        self.register_buffer("table", torch.rand(2, 784))
        self.register_buffer("row", self.table[1])
        self.calls = 3

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": self.calls}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.calls = state["calls"]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        own = 0 if labels is None else self.by_name["classes"](labels)
        return torch.tanh(self.body(latents + own) + self.row).unflatten(1, (1, 28, 28))


class SharedDiscriminator(ConvDiscriminator):
    """A discriminator one of whose layers has a second name."""

    def __init__(self, num_classes: int | None, image_channels: int) -> None:
        layers = [{"kernel_size": 4, "stride": 2, "padding": 1}]
        super().__init__([8], layers, image_channels=image_channels, num_classes=num_classes)
        self.again = nn.ModuleDict({"first": next(m for m in self.modules() if isinstance(m, nn.Conv2d))})
