"""MNIST GAN: train and evaluate generators of digits with Lightning and Hydra."""

__version__ = "0.1.0"
