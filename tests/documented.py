"""What the commands of the README and of docs/ run as in the tests: `gan` with settings that end in a second.

`prepare(folder)` makes an empty folder one in which every page can be followed: small MNIST files in data/, and a run.
`shims(folder, ...)` makes the programs that the pages call. They hand over to `python -m documented NAME ARGUMENTS`.
"""

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
TRAIN = {
    "data.batch_size": "16",
    "data.images_per_epoch": "null",
    "data.val_size": "100",
    "trainer.limit_train_batches": "1",
    "trainer.limit_val_batches": "1",
    "trainer.log_every_n_steps": "1",
    "trainer.max_epochs": "1",
    "max_images": "null",
    "callbacks.progress_bar.refresh_rate": "0",
    "callbacks.samples.num_images": "4",
}
LENGTHS = ("trainer.max_epochs", "max_images", "data.images_per_epoch", "data.val_size")  # also where a page has others
MOST = {
    "num_images": 160,
    "num_samples": 200,
    "repeats": 3,
    "shard_size": 80,
    "n_trials": 2,
    "hydra.sweeper.n_trials": 2,
    "first": 160,
}
# Of the programs of bench/:
LEAST = {"batches": "4", "clients": "2", "epochs": "2", "images": "64", "rounds": "1", "seconds": "4", "seeds": "1"}
SHIM = """#!/bin/sh
PYTHONPATH="{root}:{root}/tests:$PYTHONPATH" exec "{python}" -m documented {name} "$@"
"""
# ID stands for the newest job, whose download is tried until the job is done.
CURL = """#!/bin/bash
arguments=("${{@//localhost:8000/localhost:$GAN_TEST_PORT}}")
if [[ "$*" == */jobs/ID* ]]; then
    job=$("{curl}" --silent "localhost:$GAN_TEST_PORT/v1/jobs" | grep -Eo '[0-9a-f]{{32}}' | tail -n 1)
fi
exec "{curl}" --fail-with-body --silent --show-error --retry 50 --retry-delay 1 --retry-all-errors \
    "${{arguments[@]//jobs\\/ID/jobs/$job}}"
"""


def prepare(folder: Path) -> None:
    """Small files of MNIST and Fashion-MNIST, a run that `last` means, and images by the names that the pages use."""
    import numpy as np
    from miniature import idx_bytes
    from PIL import Image

    from gan.data import Digits
    from gan.idx_files import ALL_NAMES

    source = Digits()
    arrays = [array.squeeze().numpy() for array in (*source.train(), *source.test())]
    for layout in ("MNIST", "FashionMNIST"):
        raw = folder / "data" / layout / "raw"
        raw.mkdir(parents=True)
        for name, array in zip(ALL_NAMES, arrays, strict=True):
            (raw / name).write_bytes(idx_bytes(array))
    images, labels = (array[:200] for array in arrays[:2])
    for name in ("theirs", "dcgan", "acgan", "lightning", "cgan"):
        np.savez(folder / f"{name}.npz", images=images)
    np.save(folder / "b.npy", images)
    np.save(folder / "b_labels.npy", labels)
    for name in ("a", "docs"):
        (folder / name).mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / "a" / f"{number}.png")
    call("gan", ["train", "experiment=quick", "hydra.run.dir=outputs/train/quick_0"], folder)


def shims(folder: Path, python: str, curl: str | None) -> None:
    folder.mkdir()
    texts = {name: SHIM.format(root=ROOT, python=python, name=name) for name in ("gan", "python", "torchrun")}
    if curl:
        texts["curl"] = CURL.format(curl=curl)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)


def small(arguments: list[str], lengths: tuple[str, ...] = LENGTHS) -> list[str]:
    """The arguments of a command, with the settings that make it short, those of `lengths` in place of its own."""
    command, *rest = arguments
    given = {text.lstrip("+~").partition("=")[0]: text.partition("=")[2] for text in rest}
    if command == "train":
        settings = {
            key: value
            for key, value in TRAIN.items()
            if (key not in given or ("," not in given[key] and key in lengths))
            and given.get(key.rpartition(".")[0]) != "null"
        }
        if "ckpt_path" in given:
            settings["trainer.max_epochs"] = "3"  # a run that resumes has something left to do
        plots = [] if any("callbacks.plots" in text for text in rest) else ["~callbacks.plots"]
        channels = [] if given.get("ckpt_path") == "last" else narrow(rest)
        rest = [*(text for text in rest if text.partition("=")[0] not in settings), *plots, *channels]
        own_data = not (ROOT / "conf" / "data" / f"{given.get('data', 'mnist')}.yaml").is_file()
        rest += [f"{'++' if own_data and key[:5] == 'data.' else ''}{key}={value}" for key, value in settings.items()]
    elif command == "evaluate":
        rest += [] if "num_samples" in given else ["num_samples=200"]
        rest += ["data.val_size=100"]
    elif command == "serve":
        rest += [f"port={os.environ['GAN_TEST_PORT']}", "drain_seconds=0"]
    return [command, *map(_at_most, _two_jobs(rest) if "--multirun" in rest else rest)]


def _two_jobs(arguments: list[str]) -> list[str]:
    """A sweep over two values of its first key, and over one of every other."""
    lists = [text for text in arguments if re.fullmatch(r"[\w.]+=[\w.+-]+(,[\w.+-]+)+", text)]
    values = {text: text.split(",")[: 2 if text == lists[0] else 1] for text in lists}
    return [",".join(values.get(text, [text])) for text in arguments]


def narrow(arguments: list[str]) -> list[str]:
    """Settings that give each layer of the chosen networks eight channels."""
    from gan.config.compose import compose  # not the one that `_run_file` replaces

    folders = [folder for flag, folder in pairwise(arguments) if flag == "--config-dir"]
    chosen = [text for text in arguments if re.fullmatch(r"(model|experiment)=\w+", text)]
    model = compose("train", chosen, folders).model
    return [
        f"model.{network}.channels={[8] * len(model[network].channels)}"
        for network in ("generator", "discriminator")
        if "channels" in model[network]
    ]


def _at_most(argument: str) -> str:
    key, _, value = argument.partition("=")
    return f"{key}={min(int(value), MOST[key])}" if key in MOST and value.isdigit() else argument


def call(name: str, arguments: list[str], folder: Path | None = None) -> None:
    """Does what the program of that name would; SystemExit ends it."""
    if folder is not None:
        os.chdir(folder)
    if name == "torchrun":
        module = arguments.index("-m") + 2
        _run_module("torch.distributed.run", ["--standalone", *arguments[:module], *small(arguments[module:])])
    elif name == "python" and arguments[:2] == ["-m", "gan"]:  # a program of bench/ starts it
        _run_gan(arguments[2:] if arguments[2] == "serve" else small(arguments[2:], ()))
    elif name == "python":
        _run_file(*arguments)
    elif arguments and arguments[0] == "serve":
        _start_service(arguments)
    else:
        _run_gan(small(arguments) if arguments and "--help" not in arguments else arguments)


def _run_gan(arguments: list[str]) -> None:
    if arguments[:1] == ["evaluate"]:
        import gan.evaluate.comparison  # its pictures take seconds
        from gan.metrics.measures.cas import ClassificationAccuracy

        gan.evaluate.comparison.save_pictures = lambda folder, *_: folder.mkdir(parents=True, exist_ok=True)
        ClassificationAccuracy.__init__.__defaults__ = (100, 1)  # images and epochs
    _run_module("gan", arguments)


def _run_module(name: str, arguments: list[str]) -> None:
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_file(file: str, *options: str) -> None:
    """Runs a file of a page or of bench/, whose calls of `compose` get the settings that make them short."""
    import gan.config

    compose, lengths = gan.config.compose, () if Path(file).parent.name == "bench" else LENGTHS
    gan.config.compose = lambda command, overrides=(), *rest: compose(
        command, small([command, *overrides], lengths)[1:], *rest
    )
    import gan.evaluate  # after the line above, so that it has this `compose`

    gan.evaluate.measure.__kwdefaults__["num_samples"] = 200
    file, *options = (str(ROOT / text) if text.startswith(("bench/", "gan/")) else text for text in (file, *options))
    sys.argv = [file, *(LEAST.get(before.removeprefix("--"), text) for before, text in pairwise([file, *options]))]
    sys.path.insert(0, str(Path(file).parent))
    sys.executable = shutil.which("python")  # of what the file starts, which is made short as well
    runpy.run_path(file, run_name="__main__")


def _start_service(arguments: list[str]) -> None:
    """Starts `gan serve` beside the page, in place of the one before, and waits until it answers."""
    stop_service()
    log = open("service.log", "w", encoding="utf-8")  # noqa: SIM115 - the service keeps it
    process = subprocess.Popen(
        [sys.executable, "-m", "gan", *small(arguments)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )
    Path(os.environ["GAN_TEST_SERVICE"]).write_text(str(process.pid), encoding="utf-8")
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(Path("service.log").read_text(encoding="utf-8"))
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{os.environ['GAN_TEST_PORT']}/readyz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("gan serve does not answer")


def stop_service() -> None:
    """Ends the service as its user would, and kills it if it takes long."""
    file = Path(os.environ["GAN_TEST_SERVICE"])
    if file.is_file():
        pid = int(file.read_text(encoding="utf-8"))
        file.unlink()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for attempt in range(200):
                try:
                    os.kill(pid, 0 if attempt else number)  # 0 asks whether it is still there
                except ProcessLookupError:
                    return
                time.sleep(0.05)


if __name__ == "__main__":
    call(sys.argv[1], sys.argv[2:])
