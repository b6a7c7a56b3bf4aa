"""Reads what W&B left on the disk: a `.wandb` file is a LevelDB log of protobuf records, and wandb has no reader."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

from tiny_runs import FAST, NARROW, TINY

FILE_HEADER, BLOCK, RECORD_HEADER = 7, 32 * 1024, 7
FULL, LAST = 1, 4


@dataclass
class OfflineRun:
    """A run as its file tells it; `exit_code` stays None where it was never finished."""

    folder: Path
    run: object = None
    config: dict = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    artifacts: dict = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    exit_code: int | None = None

    def curve(self, key):
        return [(row["images_seen"], row[key]) for row in self.history if key in row]

    def table(self, key):
        """Its content, pictures included: what is beside the history has only their type."""
        files = {
            entry.path: entry.local_path for entry in self.artifacts[f"run-{self.run.run_id}-{key}"].manifest.contents
        }
        return json.loads(Path(files[f"{key}.table.json"]).read_text(encoding="utf-8"))


def offline_runs(root):
    """Every run under a folder, the oldest first."""
    import wandb

    wandb.teardown()  # its service goes on writing for a moment after a run's end
    found = [_read(file) for file in Path(root).rglob("*.wandb")]
    return sorted(found, key=lambda each: each.run.start_time.ToNanoseconds())


def _read(file):
    found = OfflineRun(file.parent)
    for record in _records(file.read_bytes()):
        kind = record.WhichOneof("record_type")
        content = getattr(record, kind)
        found.kinds.add(kind)
        if kind == "run":
            found.run = content
            found.config = _values(content.config.update)
        elif kind == "history":
            found.history.append(_values(content.item))
        elif kind == "summary":
            found.summary |= _values(content.update)
        elif kind == "metric":
            found.metrics[content.name or content.glob_name] = content
        elif kind == "artifact":
            found.artifacts[content.name] = content
        elif kind == "exit":
            found.exit_code = content.exit_code
    return found


def _values(items):
    values = {}
    for item in items:
        *outer, key = item.nested_key or [item.key]
        inner = values
        for name in outer:
            inner = inner.setdefault(name, {})
        inner[key] = json.loads(item.value_json)
    return values


def _records(data):
    from wandb.proto.wandb_internal_pb2 import Record

    position, parts = FILE_HEADER, b""
    while position + RECORD_HEADER <= len(data):
        if BLOCK - position % BLOCK < RECORD_HEADER:  # the rest of a block is zeros
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        position += RECORD_HEADER
        parts += data[position : position + length]
        position += length
        if kind in (FULL, LAST):
            yield Record.FromString(parts)
            parts = b""


TRACKED = {
    "conditional": (
        *("~callbacks.plots", "trainer.max_epochs=2", "seed=3", "model=conditional"),
        *("model.generator.channels=[8,8,8]", "model.discriminator.channels=[8,8,8,8]", "model.latent_dim=8"),
        *("wandb.project=digits", "wandb.notes=first try", "wandb.tags=[mine]", "wandb.log_checkpoint=true"),
    ),
    "unconditional": (*NARROW, *FAST),
}


def tracked(shared, name):
    """The folder of such a run, which tests leave as it is, and what W&B has of it."""

    def fill(folder):
        from gan.config import compose
        from gan.train import train

        train(compose("train", [*TINY, *TRACKED[name], "logger=[csv,wandb]", f"output_dir='{folder}'"]))
        offline_runs(folder)  # waits until all is on the disk

    folder = shared(f"tracked_{name}", fill)
    (run,) = offline_runs(folder)
    return folder, run
