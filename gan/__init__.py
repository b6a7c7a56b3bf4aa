"""MNIST GAN: train and evaluate generators of digits with Lightning and Hydra."""
