"""MNIST GAN: train, evaluate, generate, export and serve digits with Lightning and Hydra."""
