"""The networks of a model as its config says them."""

from gan.config import compose, instantiate


def module_of(model, *overrides):
    return instantiate(compose("train", [f"model={model}", *overrides]).model)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())
