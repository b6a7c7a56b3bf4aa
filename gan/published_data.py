"""What is known of the published data sets beside their files: a light import, for configs and model cards."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedData:
    """Facts of a data set.

    Attributes:
        target: what `data.source._target_` names.
        licence: a sentence that says whose the images are, and under which licence.
        hub_dataset: its name on the Hugging Face Hub.
        has_classifier: whether it has a classifier of its own, which `gan.metrics.train_extractor` trains.
    """

    target: str
    licence: str
    hub_dataset: str | None = None
    has_classifier: bool = False


PUBLISHED_DATA = {
    "mnist": PublishedData(
        "gan.data.MNIST",
        "MNIST is by Yann LeCun and Corinna Cortes; it is commonly stated to be under CC BY-SA 3.0.",
        hub_dataset="ylecun/mnist",
        has_classifier=True,
    ),
    "stacked_mnist": PublishedData(
        "gan.data.StackedMNIST",
        "StackedMNIST is made of MNIST, which is by Yann LeCun and Corinna Cortes and is commonly stated to be under "
        "CC BY-SA 3.0.",
        hub_dataset="ylecun/mnist",
    ),
    "fashion_mnist": PublishedData(
        "gan.data.FashionMNIST",
        "Fashion-MNIST is by Zalando SE, under the MIT license.",
        hub_dataset="zalando-datasets/fashion_mnist",
        has_classifier=True,
    ),
    "kmnist": PublishedData(
        "gan.data.KMNIST",
        "KMNIST is by the ROIS-DS Center for Open Data in the Humanities, under CC BY-SA 4.0.",
        has_classifier=True,
    ),
    "digits": PublishedData(
        "gan.data.Digits",
        "The digits of scikit-learn are from UCI's Optical Recognition of Handwritten Digits, under CC BY 4.0.",
    ),
}
CLASSIFIERS = tuple(name for name, data in PUBLISHED_DATA.items() if data.has_classifier)
