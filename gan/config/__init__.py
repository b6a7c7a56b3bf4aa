"""How a config is composed, what it may build, and what its values may be."""

from gan.config.compose import CONFIG_DIR, compose, explain, in_multirun, instantiate, settle_output_dir

__all__ = ["CONFIG_DIR", "compose", "explain", "in_multirun", "instantiate", "settle_output_dir"]
