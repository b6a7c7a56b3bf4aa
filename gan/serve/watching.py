"""Watches the files of the models: with `watch=true` a checkpoint that a training run writes is served at once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from gan.newest_run import newest_runs
from gan.serve.models import Model, Models, Stamp, stamp

CHECK_SECONDS = 1.0
NEWEST = {None: "last.ckpt", "last": "last.ckpt", "best": "best.ckpt"}


async def watch(models: Models, reload: Callable[[str], Awaitable[None]]) -> None:
    """Calls `reload` with the name of each model whose file has changed, until it is cancelled.

    A file is read once two looks found the same, so not in the middle of a slow copy. One that cannot be used is not
    tried again.
    """
    settings = models.settings.models
    assert settings is not None  # validated settings name each model
    seen: dict[str, Stamp | None] = {}
    tried: dict[str, Stamp] = {}
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        for model in models:
            found = await asyncio.to_thread(_look, model, settings[model.name].ckpt)
            settled, seen[model.name] = found == seen.get(model.name), found
            if settled and found not in (None, model.stamp, tried.get(model.name)):
                tried[model.name] = found
                await reload(model.name)


def _look(model: Model, ckpt: str | None) -> Stamp | None:
    """The stamp of a model's file now; for `last`, `best` and null that of the newest run. None if there is no file."""
    path: Path = model.stamp[0]
    try:
        if ckpt in NEWEST and (run := newest_runs()[0]) is not None:
            path = run / "checkpoints" / NEWEST[ckpt]
        return stamp(path)
    except OSError:  # it is being replaced, or may not be read
        return None
