"""Configs: how one is composed, what it may build, and the bounds of its values."""

from gan.config.compose import CONFIG_DIR, compose, in_multirun, instantiate, settle_output_dir
from gan.config.explain import explain

__all__ = ["CONFIG_DIR", "compose", "explain", "in_multirun", "instantiate", "settle_output_dir"]
