"""How Lightning writes and reads this project's checkpoints."""

from pathlib import Path
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO

from gan.checkpoint_files import read_checkpoint, write_checkpoint


class CheckpointIO(TorchCheckpointIO):
    """Atomic and durable, with a checksum; read onto the CPU."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:
        return read_checkpoint(Path(path), "ckpt_path")
