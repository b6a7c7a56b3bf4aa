"""Embedded digits three by three, as StackedMNIST is made of MNIST."""

from gan.data import Digits, StackedMNIST


class ThreeDigits(Digits):
    """Three of scikit-learn's digits as the channels of one image."""

    name, num_classes, channels, num_images = "three_digits", 1000, 3, None
    compose = StackedMNIST.compose
