"""What an extractor is, those of digits, and the one that `metrics.extractor` names: MNIST's comes with the package."""

import hashlib
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from gan.config import instantiate
from gan.errors import UserError
from gan.images import unit
from gan.metrics.precision import full_precision
from gan.published_data import CLASSIFIERS
from gan.safetensors_files import unpack

if TYPE_CHECKING:
    from gan.data import Source

WEIGHTS = Path(__file__).with_name("digit_classifier.safetensors")
VERSION = "1"
CHECKSUM = "322fd5e86c75ab51f8a05884dd5f9d879c15f0b9664d5bc595a8e16665bd5ae9"


class ExtractorMissingError(UserError):
    """The classifier of a data set has not been trained yet."""


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


class DigitClassifier(nn.Module):
    """Four convolutions, 64 features, ten digits: 211,178 parameters, 4 million multiplications an image.

    The features are the pre-activations of the last hidden layer. On the training images each has mean 0, variance 1,
    so that a Frechet distance is in units of the real spread and KID's kernel has the scale that it was made for.

    The shipped weights are version 1, made by `python -m gan.metrics.train_extractor` with seed 0 on 55,000 training
    images. Their checksum is `CHECKSUM`, their accuracy on the 10,000 MNIST test images 99.65 %.
    """

    num_features = 64
    num_classes = 10

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 96, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.project = nn.Linear(96 * 4 * 4, self.num_features)
        self.head = nn.Linear(self.num_features, self.num_classes)

    def features(self, images: Tensor) -> Tensor:
        """float [N, 1, 28, 28] in [0, 1] -> float [N, 64]."""
        return self.project(self.stages(images))

    def classify(self, features: Tensor) -> Tensor:
        """float [N, 64], this network's features -> logits float [N, 10]."""
        return self.head(features.relu())

    def forward(self, images: Tensor) -> Tensor:
        """float [N, 1, 28, 28] in [0, 1] -> logits float [N, 10]."""
        return self.classify(self.features(images))


class DigitExtractor(Extractor):
    """Features and logits of digits by a `DigitClassifier`, in fp32 on whatever device the module was moved to.

    Images of several channels are several digits, as in StackedMNIST: their features are joined, and their logits are
    those of the 10**C combinations, the first channel counting most: the digits a, b, c are class 100 a + 10 b + c.

    Args:
        classifier: the shipped one when not given.
        data: the data set whose ten classes it knows.
    """

    reads_digits = True

    def __init__(self, classifier: DigitClassifier | None = None, data: str = "mnist") -> None:
        super().__init__()
        self.name, self.data = data, None if data == "mnist" else data  # that of MNIST reads digits of any data
        self.classifier = classifier if classifier is not None else load_digit_classifier(data=data)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [N, C, 28, 28] -> features float32 [N, 64 C] and logits float32 [N, 10**C]."""
        features = self.classifier.features(unit(images).flatten(0, 1).unsqueeze(1))
        logits = self.classifier.classify(features)
        joint, *others = logits.unflatten(0, images.shape[:2]).unbind(1)
        for digit in others:
            joint = (joint.unsqueeze(2) + digit.unsqueeze(1)).flatten(1)
        return features.unflatten(0, images.shape[:2]).flatten(1), joint


def weights_file(data: str) -> Path:
    """Where the classifier of a data set is: in this package."""
    return WEIGHTS if data == "mnist" else WEIGHTS.with_name(f"{data}_classifier.safetensors")


def load_digit_classifier(path: Path | None = None, data: str = "mnist") -> DigitClassifier:
    """The classifier, frozen, in evaluation mode, in fp32 on the CPU; no random number is drawn.

    Args:
        path: a file written by `train_extractor`; that of the data set in this package when not given.
        data: the data set whose classes it must know.

    Raises:
        ExtractorMissingError: there is none for the data set yet.
        UserError: the file is missing or unreadable, or its tensors have another checksum than it says, or `CHECKSUM`.
    """
    file = weights_file(data) if path is None else Path(path)
    try:
        tensors, metadata = unpack(file)
        expected = CHECKSUM if path is None and data == "mnist" else metadata.get("sum")
    except FileNotFoundError:
        if path is None and data != "mnist":
            raise ExtractorMissingError(
                f"metrics.extractor={data}: there is no {file}; `python -m gan.metrics.train_extractor data={data}` "
                "trains it, metrics.extractor=inception measures without it"
            ) from None
        raise UserError(f"{file}: the digit extractor's weights are missing; reinstall the package") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file}: not a readable safetensors file ({error}); reinstall the package") from None
    if (known := metadata.get("data", "mnist")) != data:
        raise UserError(f"{file}: it knows the classes of {known}, not of {data}")
    if (found := tensors_checksum(tensors)) != expected:
        raise UserError(
            f"{file}: the weights' checksum is {found[:16]}..., not {str(expected)[:16]}... of version "
            f"{VERSION}; reinstall the package, or measure with metrics.extractor=inception"
        )
    with torch.device("meta"):
        classifier = DigitClassifier()
    classifier.load_state_dict(tensors, assign=True)
    return classifier.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def tensors_checksum(tensors: dict[str, Tensor]) -> str:
    """SHA-256 in hex of the tensors' names, dtypes, shapes and bytes, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def build_extractor(
    chosen: str | Mapping[str, Any] | Extractor = "mnist",
    inception_weights: str | Path | None = None,
    device: torch.device | str = "cpu",
) -> Extractor:
    """The extractor of `metrics.extractor`, on a device; on the CPU in place of MPS, where measures lack float64.

    Args:
        chosen: one of `CLASSIFIERS`, `inception`, or your own as `{_target_: my_package.MyExtractor}` or an object.
        inception_weights: torch-fidelity's file, downloaded when not given.

    Raises:
        UserError: another name; weights that are missing, altered or of another network; not an `Extractor`.
    """
    if chosen in CLASSIFIERS:
        extractor: Any = DigitExtractor(data=chosen)
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
