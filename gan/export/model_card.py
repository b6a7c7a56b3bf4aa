"""The model card beside an exported generator: Markdown with the front matter that Hugging Face reads."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omegaconf import OmegaConf

from gan.errors import UserError
from gan.published_data import PUBLISHED_DATA

TASK = "unconditional-image-generation"
SETTINGS = ("data", "split", "num_samples", "repeats", "seed", "labels")  # of an evaluation
FACTS_SHOWN = ("model_name", "total_parameters", "latent_dim", "num_classes", "data", "epoch", "images_seen", "version")

USE_LIBRARY = """```python
from gan.inference import DigitGenerator

generator = DigitGenerator.from_export({file})
images = generator.generate({arguments})  # uint8 [16, {image_channels}, 28, 28]
```"""
USE_ONNX = """Without this library, in anything that runs ONNX:

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession({file})
latents = np.random.default_rng(0).standard_normal((16, {latent_dim}), dtype=np.float32)
(images,) = session.run(None, {inputs})  # float32 [16, {image_channels}, 28, 28] in [-1, 1]
```"""


def card(
    metadata: Mapping[str, Any],
    path: Path,
    made: str,
    evaluation: Mapping[str, Any] | None,
    license: str | None,
) -> str:
    """The text of an exported file's model card; `made` says how it was written, `evaluation` is of `read_measures`."""
    published = PUBLISHED_DATA.get(metadata["data"])
    onnx, classes = path.suffix == ".onnx", metadata["num_classes"]
    conditional = bool(classes)
    kind = f"Conditional on the class, 0 to {classes - 1}" if conditional else "Unconditional"
    rows = "Each row has one latent, each column one class." if conditional else "Each image has a latent of its own."
    example = {
        "file": json.dumps(path.name, ensure_ascii=False),
        "arguments": f"16, digits={[3, 1, 4] if classes > 4 else [0, 1]}, seed=0" if conditional else "16, seed=0",
        "inputs": '{"latents": latents' + (f', "labels": np.arange(16) % {classes}}}' if conditional else "}"),
        **metadata,
    }
    facts = "\n".join(f"| {name} | {metadata[name]} |" for name in FACTS_SHOWN)
    command = (
        f"```console\n{metadata['command']}\n```"
        if metadata.get("command")
        else "The command that trained it is not known."
    )
    parts = [
        f"---\n{OmegaConf.to_yaml(_front_matter(metadata, path, evaluation, license))}---",
        f"# {path.stem}",
        f"The generator of a GAN trained on {metadata['data'] or 'data that the checkpoint does not name'}. "
        f"{kind}; it generates images of {metadata['image_channels']}x28x28 (channels, height, width).",
        f"![{rows}]({quote(os.fsencode(path.stem + '.png'))})",
        rows,
        "## How to use",
        USE_LIBRARY.format(**example),
        *([USE_ONNX.format(**example)] if onnx else []),
        made,
        "## Training",
        command,
        f"| fact | value |\n| --- | --- |\n{facts}",
        f"```yaml\n{OmegaConf.to_yaml(metadata['hyper_parameters'])}```",
        "## Measures",
        _measures(evaluation),
        "## Licence",
        f"{f'The weights are under {license}.' if license else 'No licence has been named for the weights.'} "
        f"The library mnist-gan is under the MIT license. {published.licence if published else ''}".rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def read_measures(path: Path, ckpt: Path, version: str) -> dict[str, Any]:
    """The settings in a `metrics.json` of `gan evaluate`, and the columns of a checkpoint; a UserError without them.

    `version` is the checksum of its weights: the file may have been replaced since, or copied.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        columns = zip(saved["checkpoints"], saved["versions"], saved["measures"], strict=False)
        names = {file: column for file, seen, column in columns if seen == version}
        measured = ", ".join([*saved["checkpoints"], *saved.get("images", [])])
        settings = {name: saved[name] for name in SETTINGS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"measures={path}: not a metrics.json of this version of `gan evaluate` ({error})") from error
    if not names:
        raise UserError(f"measures={path}: it measures {measured}, not {ckpt} with the weights that it has now")
    name = names.get(str(ckpt)) or next(iter(names.values()))  # the file's own column rather than that of a copy
    measures = {column: saved["measures"][column] for column in (name, "floor") if column in saved["measures"]}
    return {"checkpoint": name, "measures": measures, "better": saved.get("better"), **settings}


def newest_measures(ckpt: Path, version: str) -> dict[str, Any] | None:
    """The newest evaluation of a checkpoint with these weights; None if there is none."""
    found = Path("outputs/evaluate").glob("*/metrics.json")
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(UserError):
            return read_measures(path, ckpt, version)
    return None


def _front_matter(
    metadata: Mapping[str, Any], path: Path, evaluation: Mapping[str, Any] | None, license: str | None
) -> dict[str, Any]:
    form = "onnx" if path.suffix == ".onnx" else "pytorch"
    front: dict[str, Any] = {
        **({"license": license} if license else {}),
        "library_name": "mnist-gan",
        "pipeline_tag": TASK,
        "tags": ["gan", "image-generation", form, *(["class-conditional"] if metadata["num_classes"] else [])],
    }
    if hub_dataset := _hub_dataset(metadata["data"]):
        front["datasets"] = [hub_dataset]
    if evaluation:
        values = evaluation["measures"][evaluation["checkpoint"]]
        data, split = evaluation["data"], evaluation["split"]
        metrics = [
            {"type": name.rpartition("/")[2], "name": name, "value": value}
            for name, value in values.items()
            if not name.endswith("_spread") and "/real_" not in name
        ]
        args = {name: evaluation[name] for name in ("num_samples", "repeats", "seed", "labels")}
        result = {
            "task": {"type": TASK},
            "dataset": {"name": data, "type": _hub_dataset(data) or data, "split": split, "args": args},
            "metrics": metrics,
        }
        front["model-index"] = [{"name": path.stem, "results": [result]}]
    return front


def _hub_dataset(data: str | None) -> str | None:
    return PUBLISHED_DATA[data].hub_dataset if data in PUBLISHED_DATA else None


def _measures(evaluation: Mapping[str, Any] | None) -> str:
    if evaluation is None:
        return "Not measured."
    from gan.evaluate import markdown  # with all measures, which a card without them does not need

    settings = " ".join(f"{name}={evaluation[name]}" for name in SETTINGS)
    source = f"Of the checkpoint, by `gan evaluate {settings}`; "
    source += "the floor has real training images in place of generated ones."
    return f"{source}\n\n{markdown(evaluation['measures'], evaluation['better'])}".rstrip()
