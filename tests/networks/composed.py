"""The networks of a model as its config says them, and what they consist of."""

from functools import cache

from torch import nn

from gan.config import compose, instantiate


def module_of(model, *overrides):
    return instantiate(compose("train", [f"model={model}", *overrides]).model)


@cache
def published(model):
    """The model of a config without overrides; tests leave its weights as they are."""
    return module_of(model)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def layers(network):
    """The layers in order, each as (name, output channels or features, kernel, stride, padding, bias)."""
    rows = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            rows.append(("Linear", layer.out_features, layer.bias is not None))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            shape = (layer.kernel_size[0], layer.stride[0], layer.padding[0])
            rows.append((type(layer).__name__, layer.out_channels, *shape, layer.bias is not None))
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            rows.append((type(layer).__name__, layer.num_features))
        elif isinstance(layer, nn.LeakyReLU):
            rows.append(("LeakyReLU", layer.negative_slope))
        elif isinstance(layer, nn.Dropout):
            rows.append(("Dropout", layer.p))
        elif isinstance(layer, nn.ReLU | nn.Tanh):
            rows.append((type(layer).__name__,))
    return rows
