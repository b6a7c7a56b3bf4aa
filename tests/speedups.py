"""Leaves out costs of a run that no test is about."""

import copy
import functools
import gc
import importlib.metadata
import os
import pickle
from pathlib import Path


def once(function, key):
    """The function, called once for each key that is not None: each call returns a copy of what it returned then."""
    results = {}

    @functools.wraps(function)
    def copied(*arguments, **options):
        this = key(*arguments, **options)
        if this is None:
            return function(*arguments, **options)
        if this not in results:
            results[this] = pickle.dumps(function(*arguments, **options))
        return pickle.loads(results[this])

    return copied


def by_pickle(deepcopy):
    """OmegaConf's own deep copy of a container, in a quarter of its time; the copy's parent is not copied."""

    @functools.wraps(deepcopy)
    def copied(node, memo):
        if node._get_flag("allow_objects"):
            return deepcopy(node, memo)
        parent, node.__dict__["_parent"] = node.__dict__["_parent"], None
        try:
            result = pickle.loads(pickle.dumps(node, pickle.HIGHEST_PROTOCOL))
        finally:
            node.__dict__["_parent"] = parent
        result.__dict__["_parent"] = parent
        return result

    return copied


def text_of(file):
    if isinstance(file, str | Path):
        return Path(file).read_text(encoding="utf-8")
    text = file.read()
    file.seek(0)
    return text


def apply():
    """From now on, this process waits for no disk, and parses and composes the same text and files of conf/ once."""
    import omegaconf.base
    from hydra._internal import config_loader_impl as hydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import DictConfig, ListConfig, OmegaConf

    from gan.config import CONFIG_DIR

    if hasattr(hydra.create_defaults_list, "__wrapped__"):
        return  # done before this process was forked

    # Each run of Lightning asks for them, by the function that was there when Lightning was imported.
    importlib.metadata.entry_points = functools.cache(importlib.metadata.entry_points)

    def own_folder(repo):
        paths = [source.path for source in repo.get_sources() if source.scheme() == "file"]
        return [Path(path) for path in paths] == [CONFIG_DIR]

    choose, chosen = hydra.create_defaults_list, {}

    @functools.wraps(choose)
    def choose_once(repo, config_name, overrides_list, **options):
        if not own_folder(repo):
            return choose(repo, config_name, overrides_list, **options)
        values = [each for each in overrides_list if not repo.group_exists(each.key_or_group)]
        choices = [each for each in overrides_list if each not in values]
        key = config_name, tuple(each.input_line for each in choices), *options.items()
        if key not in chosen:
            chosen[key] = choose(repo, config_name, choices, **options)
        found = copy.copy(chosen[key])
        kept = [*found.config_overrides, *(each for each in values if not each.is_sweep_override())]
        found.config_overrides = [each for each in overrides_list if each in kept]
        return found

    for container in (DictConfig, ListConfig):
        container.__deepcopy__ = by_pickle(container.__deepcopy__)
    OmegaConf.load = staticmethod(once(OmegaConf.load, text_of))
    omegaconf.base.parse = functools.cache(omegaconf.base.parse)
    OverridesParser.parse_rule = once(OverridesParser.parse_rule, lambda parser, *text_and_rule: text_and_rule)
    hydra.create_defaults_list = choose_once
    loader = hydra.ConfigLoaderImpl
    loader._compose_config_from_defaults_list = once(
        loader._compose_config_from_defaults_list,
        lambda loader, defaults, repo: repr(defaults) if own_folder(repo) else None,
    )
    os.fsync = lambda descriptor: None  # no test outlives a power cut
    gc.set_threshold(20_000, 20, 20)  # a config is thousands of objects, of which little is garbage
