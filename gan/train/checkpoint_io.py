"""How Lightning writes and reads a checkpoint: through `gan.checkpoint_files`."""

import logging
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO

from gan.checkpoint_files import read_checkpoint, serialized, write_checkpoint

log = logging.getLogger("gan")


class CheckpointIO(TorchCheckpointIO):
    """Atomic and durable, with a checksum; read onto the CPU.

    The state of a callback that could not be read again is left out, with a warning, so that the rest can be.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left_out: set[str] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        kept = {}
        for name, state in checkpoint.get("callbacks", {}).items():
            _, types = serialized(state)
            if not types:
                kept[name] = state
            elif name not in self._left_out:
                self._left_out.add(name)
                what = f"the state of {name} has {', '.join(types)}; only tensors and plain values are read again"
                log.warning("callbacks: left out of checkpoints: %s", what)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(Path(path), {**checkpoint, "callbacks": kept})

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:
        return read_checkpoint(Path(path), "ckpt_path")
