"""`gan generate`: the images it generates and the files it writes."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from gan.config import compose
from gan.config.bounds import BOUNDS
from gan.errors import UserError
from gan.generate.command import ENDINGS, generate
from gan.idx_files import NAMES
from gan.inference import DigitGenerator


def test_the_number_of_images_is_the_total_and_has_a_natural_default(generated):
    assert generated("a.npz", "digits=[3,1,4]")["labels"].tolist() == [3, 1, 4]
    assert generated("b.npz", "digits=[3,1,4]", "seeds=0-1", "num_images=4")["labels"].tolist() == [3, 1, 4, 3]
    assert generated("c.npz", "digits=[3,1,4]", "seeds=0-1")["labels"].tolist() == [3, 1, 4, 3, 1, 4]
    assert generated("d.npz", "digits=7")["labels"].tolist() == [7]
    assert generated("e.npz")["labels"].tolist() == [i % 10 for i in range(64)]
    assert generated("f.npz", "seeds=0-15")["labels"].tolist() == [i % 10 for i in range(16)]


def test_nothing_is_overwritten_unless_told_to(generated, tmp_path):
    for output, image_format in (("a.npz", "npz"), ("a.png", "grid"), ("folder", "idx"), ("pictures", "png")):
        generated(output, f"format={image_format}", "num_images=2")
        with pytest.raises(UserError, match="is there already; overwrite=true replaces it"):
            generated(output, f"format={image_format}", "num_images=3")
    assert len(generated("a.npz", "num_images=3", "overwrite=true")["images"]) == 3


def test_a_run_that_fails_leaves_the_old_file_and_no_truncated_one(generated, tmp_path, monkeypatch):
    generated("a.npz", "num_images=2")
    content = (tmp_path / "a.npz").read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(UserError, match=r"a.npz: it cannot be written there \(No space left on device\)"):
        generated("a.npz", "num_images=3", "overwrite=true")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert (tmp_path / "a.npz").read_bytes() == content


@pytest.mark.parametrize("image_format", ["png", "idx"])
def test_a_folder_keeps_its_files_until_the_new_ones_are_there(generated, tmp_path, monkeypatch, image_format):
    settings = ("a", f"format={image_format}", "overwrite=true", "digits=all")
    sample = DigitGenerator.sample_chunks

    def one_chunk(self, inputs):
        yield next(sample(self, inputs))
        raise UserError("too rare")

    generated(*settings, "num_images=3")
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(DigitGenerator, "sample_chunks", one_chunk)
        with pytest.raises(UserError, match="too rare"):
            generated(*settings, "num_images=1000", "seeds=5")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    generated(*settings, "num_images=2", "seeds=5")
    after = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert len(after) == 2
    assert all(content != before[name] for name, content in after.items())


@pytest.mark.parametrize(
    ("model", "output", "overrides", "message"),
    [
        ("unconditional", "a.png", ["digits=[3]"], r"digits=\[3\]: this model is unconditional"),
        ("unconditional", "a.png", ["mode=class_sweep"], "mode=class_sweep: this model is unconditional"),
        ("conditional", "a.png", ["digits=[10]"], r"digits=\[10\]: digits are 0 to 9"),
        ("conditional", "a.gif", ["mode=walk", "num_images=13"], "num_images=13: it must be a multiple of steps=12"),
        ("conditional", "a.gif", ["mode=walk", "num_images=12", "seeds=[1,2]"], "num_images=12: it must be 24"),
        ("colour", "folder", ["format=idx"], "format=idx: MNIST's files have one channel"),
        ("conditional", "a.png", ["direction=slant"], "direction=slant: mode=sample has no use for it; mode=direction"),
        ("conditional", "a.png", ["steps=24"], "steps=24: mode=sample has no use for it; mode=interpolate has"),
        ("conditional", "a.png", ["span=5"], "span=5: mode=sample has no use for it; mode=direction has"),
        ("conditional", "a.png", ["mode=direction", "direction=height"], "slant, thickness, width, size, or null"),
        ("conditional", "a.png", ["mode=direction", "select=classifier"], "select=classifier: mode=direction has no"),
        ("conditional", "a.png", ["mode=direction", "span=0"], "span=0: a number, above 0, 5 or less"),
        ("conditional", "a.png", ["directions.slant=6"], "directions.slant=6: a number, -5 or more, 5 or less"),
        ("conditional", "a.png", ["directions=3"], "directions=3: amounts of slant, thickness, width, size, such as"),
        ("conditional", "a.png", ["num_images=20000"], "num_images=20000: format=grid shows up to 10,000"),
        ("conditional", "a.gif", ["mode=walk", "seeds=0-9999"], "num_images=120000: a latent path has up to 10,000"),
        ("conditional", "a.png", ["device=npu"], "device=npu: not on this machine"),
        (
            "conditional",
            "a.png",
            ["first=10000000000000000000"],
            "first=10000000000000000000: a whole number, 0 or more, 1,000,000,000,000,000 or less",
        ),
        ("conditional", "folder", ["format=idx", "num_images=5000000000"], "an IDX file holds up to 4,294,967,295"),
        ("unconditional", "a.png", ["select=classifier"], "select=classifier: name the digits"),
        ("conditional", "a.png", ["select=classifier", "digits=3"], "select=classifier: this model is conditional"),
        ("conditional", "a.png", ["mode=interpolate", "seeds=[0,1]", "digits=[3,8,1]"], "the path has 2 seeds"),
        ("conditional", "a.gif", ["mode=walk", "num_images=24", "digits=[3,8,1]"], "the path has 2 seeds"),
        (
            "conditional",
            "a.gif",
            ["mode=walk", "num_images=12"],
            "num_images=12: it must be a multiple of steps=12, from 24",
        ),
        ("conditional", "a.png", ["num_images=10000", "scale=64"], "scale=64: 10,000 images would have more than 1,07"),
        (
            "conditional",
            "a.png",
            ["mode=direction", "steps=10001"],
            "steps=10001: a whole number, 2 or more, 10,000 or",
        ),
        ("conditional", "a.npz", ["scale=2"], "scale=2: only pictures are enlarged"),
        ("conditional", "a.png", ["scale=0"], "scale=0: a whole number, 1 or more"),
        ("conditional", "a.npz", ["split=test"], "split=test: only format=idx"),
        ("conditional", "a", ["format=idx", "split=val"], "split=val: train or test"),
    ],
)
def test_mistakes_leave_nothing(generated, tmp_path, model, output, overrides, message):
    with pytest.raises(UserError, match=message) as raised:
        generated(output, *overrides, model=model)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_each_allowed_format_and_split_is_known():
    assert BOUNDS["generate"]["format"].values == tuple(ENDINGS)
    assert BOUNDS["generate"]["split"].values == tuple(NAMES)


def test_a_pipe_stays_one(generated, tmp_path):
    os.mkfifo(tmp_path / "digits.npz")
    with pytest.raises(UserError, match=r"digits.npz: it is there, and not a file"):
        generated("digits.npz", "overwrite=true")
    assert (tmp_path / "digits.npz").is_fifo()
    (tmp_path / "link.npz").symlink_to("/unmounted/link.npz")
    with pytest.raises(UserError, match=r"link.npz: it is there, and not a file"):
        generated("link.npz")


def test_an_output_that_cannot_be_written_is_named(generated, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(DigitGenerator, "open", lambda *_: pytest.fail("it was read"))
    with pytest.raises(UserError, match=r"output=.*file/a\.npz: it cannot be written there"):
        generated("file/a.npz", "num_images=2")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UserError, match=r"folder.npz: it is there, and not a file"):
        generated("folder.npz", "overwrite=true")


@pytest.mark.parametrize("command", ["generate", "export"])
def test_an_output_leaves_no_other_folder(gan, checkpoints, tmp_path, command):
    ending = {"generate": "png", "export": "safetensors"}[command]
    ckpt = f"ckpt={checkpoints['conditional']}"
    assert gan(command, ckpt, f"output=a.{ending}")[0] == 0
    assert not [path for path in tmp_path.iterdir() if path.is_dir() or path.suffix == ".log"]
    assert gan(command, ckpt)[0] == 0
    (folder,) = (tmp_path / "outputs" / command).iterdir()
    assert {".hydra", "run.log"} < {path.name for path in folder.iterdir()}


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_terminated_command_leaves_no_unfinished_file(checkpoints, tmp_path, python, without_nohup, number, code):
    arguments = [f"ckpt={checkpoints['conditional']}", "num_images=50000000", "output=a.npy"]
    process = subprocess.Popen([python, "-m", "gan", "generate", *arguments], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 10_000]:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == code
    assert not list(tmp_path.rglob("*"))


HEAVY = (
    *("lightning", "torchvision", "sklearn", "matplotlib", "scipy", "torchmetrics", "wandb", "pandas", "sympy"),
    *("torch._dynamo", "torch._inductor", "onnx", "onnxscript", "fastapi", "uvicorn"),
)


@pytest.mark.process
def test_it_starts_without_heavy_imports_and_other_extras(checkpoints, files, tmp_path):
    """From a checkpoint, then from exported files."""
    paths = [checkpoints["conditional"], *(files["conditional", form] for form in ("safetensors", "onnx"))]
    code = f"""
import sys
import gan.serve
from gan.cli import main
for path in {[str(path) for path in paths]}:
    sys.argv = ["gan", "generate", f"ckpt='{{path}}'", "digits=[3,1,4]"]
    assert main() == 0
    print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [Image.open(written).size for written in lines[1::3]] == [(552, 192)] * 3
    assert lines[2::3] == ["[]"] * 3


def test_what_a_killed_command_left_is_removed(generated, tmp_path):
    unfinished = tmp_path / "pictures" / ".gan-generate-x"
    unfinished.mkdir(parents=True)
    (unfinished / "000000.png").touch()
    folder = generated("pictures", "format=png", "num_images=1", model="unconditional")  # needs no overwrite=true
    assert [path.name for path in folder.iterdir()] == ["000000.png"]


def test_a_folder_that_another_command_fills_is_left_to_it(generated, tmp_path):
    unfinished = tmp_path / "pictures" / ".gan-generate-x"
    unfinished.mkdir(parents=True)
    with FileLock(unfinished / ".lock"), pytest.raises(UserError, match="another command is writing there"):
        generated("pictures", "format=png", "num_images=1")
    assert unfinished.is_dir()


def test_a_path_from_python_may_be_below_the_home_folder(checkpoints, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(checkpoints["conditional"], tmp_path / "a.ckpt")
    assert generate(compose("generate", ["ckpt='~/a.ckpt'", "output='~/a.png'"])) == tmp_path / "a.png"
    assert DigitGenerator.open("~/a.ckpt").path == tmp_path / "a.ckpt"


def test_pictures(generated):
    array = generated("a.npy", "digits=[3,1,4]")
    assert (array.shape, array.dtype) == ((3, 1, 28, 28), np.uint8)
    assert Image.open(generated("a.png", "digits=[3,1,4]")).size == (6 * 92, 6 * 32)
    small = np.asarray(Image.open(generated("small.png", "digits=[3,1,4]", "scale=1")))
    assert small.shape == (32, 92)
    assert np.array_equal(
        np.asarray(Image.open(generated("large.png", "digits=[3,1,4]", "scale=3")))[1::3, 1::3], small
    )
    folder = generated("pictures", "digits=[3,1,4]", "format=png", "first=7", "num_images=2")
    assert sorted(path.name for path in folder.iterdir()) == ["000007_digit_1.png", "000008_digit_4.png"]
    expected = generated("b.npy", "digits=[3,1,4]", "first=8", "num_images=1")
    assert np.array_equal(np.asarray(Image.open(folder / "000008_digit_4.png")), expected[0, 0])
    folder = generated("pictures", "format=png", "num_images=1", "overwrite=true", model="unconditional")
    assert [path.name for path in folder.iterdir()] == ["000000.png"]
    assert Image.open(generated("colour.png", "num_images=4", model="colour")).mode == "RGB"
