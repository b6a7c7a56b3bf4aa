"""Inception v3, as torch-fidelity has it, for numbers that compare with other papers'."""

import sys
import urllib.error
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor

from gan.errors import UserError, one_line
from gan.metrics.extractor import Extractor


class InceptionExtractor(Extractor):
    """The 2,048 features of the last pooling and the 1,008 unbiased logits of the 2015 Inception network, in fp32.

    torch-fidelity resizes as TensorFlow 1 did; torchmetrics' wrapper antialiases, unlike the published numbers. An
    image takes about 0.1 s on a CPU. `weights` is a file; None: that in torch's hub folder, downloaded once.

    Raises:
        UserError: there is no such file and none can be downloaded, or it is not Inception's.
    """

    name = "inception"
    slow = True
    chunk_size = 50

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        # Imported on use: torch-fidelity is slow to import and most runs never need it.
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

        if not isinstance(weights, str | Path | None):
            raise UserError(f"metrics.inception_weights={weights}: a file, or null")
        name = Path(urlparse(URL_INCEPTION_V3).path).name
        path = Path(torch.hub.get_dir()) / "checkpoints" / name if weights is None else Path(weights).expanduser()
        if weights is None and not path.is_file():
            _download(URL_INCEPTION_V3, path)
        if not path.is_file():
            raise UserError(f"metrics.inception_weights={weights}: no such file; put {name} there")
        try:
            # torch-fidelity unpickles whatever is in the file, so let torch refuse anything but tensors first.
            torch.load(path, map_location="cpu", weights_only=True)
            with torch.random.fork_rng(devices=[]):
                self.network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path))
        except Exception as error:
            raise UserError(f"metrics.inception_weights={path}: not the weights {name} ({one_line(error)})") from None

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [N, 1 or 3, H, W] -> features float32 [N, 2048] and logits float32 [N, 1008]."""
        return self.network(images.expand(-1, 3, -1, -1))

    def train(self, mode: bool = True) -> "InceptionExtractor":
        """Stays in evaluation mode."""
        return super().train(False)


def _download(url: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The file's name ends in the first digits of its hash, as all names in torch's hub do.
        torch.hub.download_url_to_file(url, str(path), path.stem.rpartition("-")[2], progress=sys.stderr.isatty())
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"metrics.extractor=inception: {path.name} can't be downloaded ({error}); get it from {url} and put it "
            f"into {path.parent}, or name it in metrics.inception_weights"
        ) from None
