"""Leaves out costs of a run that no test is about."""

import gc
import os
import pickle
from pathlib import Path


def apply():
    """From now on, this process waits for no disk, and parses the same text of a config once."""
    from omegaconf import OmegaConf

    load, parsed = OmegaConf.load, {}

    def load_once(file):
        if isinstance(file, str | Path):
            text = Path(file).read_text(encoding="utf-8")
        else:
            text = file.read()
            file.seek(0)
        if text not in parsed:
            parsed[text] = pickle.dumps(load(file))
        return pickle.loads(parsed[text])

    OmegaConf.load = staticmethod(load_once)
    os.fsync = lambda descriptor: None  # no test outlives a power cut
    gc.set_threshold(20_000, 20, 20)  # a config is thousands of objects, of which little is garbage
