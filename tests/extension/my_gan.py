"""A network, a loss, a data set, a measure and an extractor of one's own, as docs/extending.md shows them."""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from gan.data import Digits, Source
from gan.metrics import Comparison, Extractor, Measure


class MLPGenerator(nn.Module):
    """Two linear layers from the latent vector to the image."""

    def __init__(self, latent_dim: int, num_classes: int | None, image_channels: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, 784), nn.Tanh())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.body(latents).unflatten(1, (1, 28, 28))


class FadingGenerator(MLPGenerator):
    """Darker towards the bottom, by a buffer that is not saved."""

    def __init__(self, latent_dim: int, num_classes: int | None, image_channels: int, width: int) -> None:
        super().__init__(latent_dim, num_classes, image_channels, width)
        self.register_buffer("fade", torch.linspace(1, 0.5, 28).unsqueeze(1), persistent=False)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(latents) * self.fade


class LeastSquares:
    """Least-squares loss (Mao et al. 2017, arXiv:1611.04076)."""

    has_threshold = False  # its logits part real from generated images at 0.5, not at 0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (real_logits - 1).square().mean() + fake_logits.square().mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return (fake_logits - 1).square().mean()


class TwoMethods:
    """A relativistic least-squares loss: it says nothing of itself, and its generator's part reads the real logits."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (real_logits - fake_logits - 1).square().mean()

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (fake_logits - real_logits - 1).square().mean()


class Stripes(Source):
    """Ten classes of vertical stripes."""

    name = "stripes"

    def train(self) -> tuple[Tensor, Tensor]:
        labels = torch.arange(400) % 10
        columns = torch.arange(28) % (labels[:, None] + 2) == 0
        return (columns[:, None, None, :].expand(-1, 1, 28, 28) * 255).to(torch.uint8).contiguous(), labels

    def test(self) -> tuple[Tensor, Tensor]:
        return self.train()


class UnlabelledDigits(Digits):
    """Digits of which nobody knows which they are."""

    name = "unlabelled_digits"
    num_classes = None

    def test(self) -> tuple[Tensor, Tensor]:
        images, labels = super().test()
        return images, torch.zeros_like(labels)


class EdgeExtractor(Extractor):
    """The mean of each row and of each column, which needs no weights and reads no digits."""

    name = "edges"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        images = images.float().mean(1) / 255
        return torch.cat([images.mean(1), images.mean(2)], dim=1), images.mean(1)


class Warmup(LambdaLR):
    """A rate that rises over the first steps."""

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        super().__init__(optimizer, lambda step: min(1.0, (step + 1) / steps))


class MeanShift(Measure):
    """The distance between the mean features of real and of generated images."""

    name = "mean_shift"
    values = {"mean_shift": "lower"}
    in_feature_space = True
    least_real = 1

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def compute(self, sets: Comparison) -> dict[str, float]:
        shift = sets.real.features.mean(0) - sets.generated.features.mean(0)
        return {self.name: self.scale * shift.norm().item()}
