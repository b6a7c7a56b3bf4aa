"""What an extractor is, and the one that `metrics.extractor` names: a classifier's, `inception` or one of your own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gan.config import instantiate
from gan.errors import UserError

if TYPE_CHECKING:
    from gan.data import Source

CLASSIFIERS = ("mnist", "fashion_mnist", "kmnist")  # data sets that have a classifier of their own


class Extractor(nn.Module):
    """A frozen network whose features and logits the measures use. Calling it computes in full precision.

    Attributes:
        name: in the names of metrics that depend on its features, such as `fid_mnist`.
        reads_digits: whether its logits are those of the digits 0 to 9 (of 10**C combinations for C channels), or those
            of the classes of `data`.
        data: the data set whose classes it knows; None: any that shows digits.
        slow: whether the features of a whole training set take so long that they are computed only on request.
        chunk_size: how many images it is given at a time.
    """

    name: str
    reads_digits: bool = False
    data: str | None = None
    slow: bool = False
    chunk_size: int = 500

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with full_precision(images.device):
            return super().__call__(images)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [N, C, 28, 28] -> features float32 [N, D] and logits float32 [N, K], without gradients."""
        raise NotImplementedError

    def misfit(self, source: "Source") -> str | None:
        """One line for an extractor that reads classes which the images of a source do not show, else None."""
        if not self.reads_digits or (source.shows_digits if self.data is None else source.name == self.data):
            return None
        shown = "no digits" if self.data is None else f"no classes of {self.data}"
        other = f"{source.name} or inception" if source.name in CLASSIFIERS else "inception"
        return f"metrics.extractor={self.name}: {source.name} shows {shown}; use metrics.extractor={other}"

    @property
    def device(self) -> torch.device:
        """That of its weights; the CPU where it has none."""
        return next((tensor.device for tensor in chain(self.parameters(), self.buffers())), torch.device("cpu"))


def build_extractor(
    chosen: str | Mapping[str, Any] | Extractor = "mnist",
    inception_weights: str | Path | None = None,
    device: torch.device | str = "cpu",
) -> Extractor:
    """The extractor of `metrics.extractor`, on a device; on the CPU in place of MPS, where measures lack float64.

    Args:
        chosen: one of `CLASSIFIERS`, `inception`, or your own as `{_target_: my_package.MyExtractor, ...}` or an
            object.
        inception_weights: `metrics.inception_weights`; torch-fidelity's file, downloaded when not given.
        device: of the run.

    Raises:
        UserError: another name; weights that are missing, altered or of another network; not an `Extractor`.
    """
    if chosen in CLASSIFIERS:
        from gan.metrics.digit_extractor import DigitExtractor, load_digit_classifier

        extractor: Any = DigitExtractor(load_digit_classifier(data=chosen), chosen)
    elif chosen == "inception":
        from gan.metrics.inception import InceptionExtractor

        extractor = InceptionExtractor(inception_weights)
    elif isinstance(chosen, str):
        raise UserError(
            f"metrics.extractor={chosen}: {', '.join(CLASSIFIERS)}, inception, or {{_target_: your.Extractor}}"
        )
    else:
        extractor = instantiate(chosen) if isinstance(chosen, Mapping) else chosen
    if not isinstance(extractor, Extractor):
        raise UserError(f"metrics.extractor: {extractor!r} is not a gan.metrics.Extractor")
    extractor.eval()  # one of a user's may have dropout or batch normalization
    return extractor if torch.device(device).type == "mps" else extractor.to(device)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Neither autocast nor TF32 inside: the measures don't depend on the precision a run trains in."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
