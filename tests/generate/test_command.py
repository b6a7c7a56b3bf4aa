"""`gan generate`: the images it generates and the files it writes."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from tiny_generators import save_checkpoints

from gan.config import compose
from gan.config.bounds import BOUNDS
from gan.data import MNIST
from gan.data.idx import read_split
from gan.errors import UserError
from gan.export import export
from gan.generate import generate, parse_seeds
from gan.generate.array_files import SPLITS
from gan.generate.command import ENDINGS
from gan.generate.modes import Samples
from gan.inference import DigitGenerator


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return save_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def generated(checkpoints, tmp_path):
    """A function from an output's name and overrides to what `gan generate` left there, arrays loaded."""

    def run(output, *overrides, model="conditional"):
        fixed = [f"ckpt='{checkpoints[model]}'", "device=cpu", f"output_dir='{tmp_path}'"]
        path = generate(compose("generate", [*fixed, f"output='{tmp_path / output}'", *overrides]))
        assert path == tmp_path / output
        return np.load(path) if path.suffix in (".npy", ".npz") else path

    return run


@pytest.fixture
def model(checkpoints):
    return DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")


def test_an_npz_holds_images_and_labels(generated, model):
    with generated("a.npz", "num_images=300", "digits=all", "seeds=5") as found:
        assert set(found) == {"images", "labels"}
        assert (found["images"].shape, found["images"].dtype) == ((300, 1, 28, 28), np.uint8)
        assert found["labels"].dtype == np.int64
        assert found["labels"].tolist() == [i % 10 for i in range(300)]
        assert np.array_equal(found["images"], model.generate(300, seed=5).numpy())
    with generated("b.npz", model="unconditional") as found:
        assert found["labels"].tolist() == [-1] * 64
        assert len(np.unique(found["images"].reshape(64, -1), axis=0)) == 64


def test_the_number_of_images_is_the_total_and_has_a_natural_default(generated):
    assert generated("a.npz", "digits=[3,1,4]")["labels"].tolist() == [3, 1, 4]
    assert generated("b.npz", "digits=[3,1,4]", "seeds=0-1", "num_images=4")["labels"].tolist() == [3, 1, 4, 3]
    assert generated("c.npz", "digits=[3,1,4]", "seeds=0-1")["labels"].tolist() == [3, 1, 4, 3, 1, 4]
    assert generated("d.npz", "digits=7")["labels"].tolist() == [7]
    assert generated("e.npz")["labels"].tolist() == [i % 10 for i in range(64)]
    assert generated("f.npz", "seeds=0-15")["labels"].tolist() == [i % 10 for i in range(16)]


def test_seeds_take_turns(generated, model):
    images = generated("a.npz", "digits=[3,1,4]", "seeds=[7,8]", "num_images=12")["images"]
    expected = [model.generate(3, [3, 1, 4], seed, first) for first in (0, 3) for seed in (7, 8)]
    assert np.array_equal(images, torch.cat(expected).numpy())
    images = generated("b.npy", "seeds=[0-2,9]", model="unconditional")
    alone = [generated(f"{seed}.npy", f"seeds={seed}", "num_images=1", model="unconditional") for seed in (0, 1, 2, 9)]
    assert np.array_equal(images, np.concatenate(alone))


@pytest.mark.parametrize("mode", ["sample", "class_sweep"])
def test_ranges_of_indices_make_up_one_long_run(generated, mode):
    options = (f"mode={mode}", "seeds=[2,3]", "digits=[0,5,6]", "truncation=0.7")
    whole = generated("whole.npz", *options, "num_images=700")
    parts = [generated(f"{first}.npz", *options, f"first={first}", "num_images=350") for first in (0, 350)]
    for name in ("images", "labels"):
        assert np.array_equal(whole[name], np.concatenate([part[name] for part in parts]))
    assert not np.array_equal(whole["images"], generated("other.npz", *options[:3], "num_images=700")["images"])


def test_a_class_sweep_has_a_latent_in_each_row_and_a_digit_in_each_column(generated, model):
    images = generated("a.npy", "mode=class_sweep", "digits=[3,1]", "seeds=4", "num_images=6")
    z = model.latents(4, 0, 3).repeat_interleave(2, dim=0)
    assert np.array_equal(images, model.draw(z, torch.tensor([3, 1] * 3)).numpy())
    assert Image.open(generated("a.png", "mode=class_sweep")).size == (2 * 302, 2 * 242)


def test_latent_paths_pass_through_the_first_image_of_each_seed(generated, model):
    ends = [model.generate(1, [digit], seed)[0].numpy() for seed, digit in ((5, 3), (6, 8), (9, 3))]
    path = generated("a.npz", "mode=interpolate", "seeds=[5,6,9]", "digits=[3,8]", "steps=5")
    assert path["labels"].tolist() == [3, 3, 3, 8, 8, 8, 8, 8, 3, 3]
    for index, end in ((0, 0), (4, 1), (5, 1), (9, 2)):
        assert np.array_equal(path["images"][index], ends[end])
    assert len(np.unique(path["images"].reshape(10, -1), axis=0)) == 9

    walk = generated("b.npz", "mode=walk", "seeds=[5,6,9]", "digits=[3,8,3]", "steps=4")
    assert walk["labels"].tolist() == [3, 3, 3, 8, 8, 8, 8, 3, 3, 3, 3, 3]
    assert len(np.unique(walk["images"].reshape(12, -1), axis=0)) == 12
    for index, end in ((0, 0), (4, 1), (8, 2)):
        assert np.array_equal(walk["images"][index], ends[end])
    assert Image.open(generated("c.gif", "mode=walk", "seeds=3", "num_images=24")).n_frames == 24


def test_a_strip_moves_one_image_along_a_direction(generated, model):
    options = ("mode=direction", "digits=[3,1]", "seeds=4")
    strips = generated("a.npz", *options, "direction=slant", "steps=5", "span=2")
    assert strips["labels"].tolist() == [3] * 5 + [1] * 5
    middles = model.generate(2, [3, 1], seed=4).numpy()
    for row in range(2):
        assert np.array_equal(strips["images"][5 * row + 2], middles[row])
        for column, amount in ((0, -2), (1, -1), (4, 2)):
            moved = model.moved({"slant": amount}).generate(2, [3, 1], seed=4)
            assert np.array_equal(strips["images"][5 * row + column], moved[row].numpy())
    parts = [generated(f"{first}.npz", *options, "steps=5", "num_images=7", f"first={first}") for first in (0, 7)]
    whole = generated("whole.npz", *options, "steps=5", "num_images=14")
    for name in ("images", "labels"):
        assert np.array_equal(whole[name], np.concatenate([part[name] for part in parts]))


def test_rows_of_strips(generated, model):
    count = len(model.directions)
    assert generated("a.npz", "mode=direction", "digits=[3]")["labels"].tolist() == [3] * 11 * count
    labels = generated("b.npz", "mode=direction", "direction=width", "steps=3")["labels"]
    assert labels.tolist() == [digit for digit in range(10) for _ in range(3)]
    assert len(generated("c.npy", "mode=direction", "direction=width", "steps=3", model="unconditional")) == 24
    assert Image.open(generated("d.png", "mode=direction", "direction=size", "seeds=0-1", "scale=1")).size == (332, 62)


def test_directions_move_the_images_of_every_mode(generated, model):
    moved = model.moved({"slant": 1.5, "thickness": 1})
    expected = moved.generate(2, [7, 3], seed=4).numpy()
    both = ("digits=[7,3]", "seeds=4", "directions={slant: 1.5, thickness: 1}")
    assert np.array_equal(generated("a.npy", *both), expected)
    assert np.array_equal(generated("b.npy", *both[:2], "directions.slant=1.5", "directions.thickness=1"), expected)
    path = generated("c.npy", "mode=interpolate", "digits=[7,3]", "seeds=[4,5]", both[2])
    assert np.array_equal(path[0], expected[0])
    assert np.array_equal(generated("d.npy", *both[:2], "directions=null"), model.generate(2, [7, 3], seed=4).numpy())


def test_moved_images_are_not_mixed_with_others_in_shards(generated):
    options = ("shards", "format=npz", "num_images=20", "shard_size=10")
    generated(*options)
    with pytest.raises(UserError, match="shards of other settings"):
        generated(*options, "directions.slant=1")


def test_shards_together_are_the_whole_and_finished_ones_are_kept(generated, tmp_path):
    options = ("format=npz", "num_images=700", "seeds=[2,3]")
    whole = generated("whole.npz", *options)
    folder = generated("shards", *options, "shard_size=300")
    files = sorted(folder.glob("*.npz"))
    spans = ("000000000-000000299", "000000300-000000599", "000000600-000000699")
    assert [file.name for file in files] == [f"images-{span}.npz" for span in spans]
    for name in ("images", "labels"):
        assert np.array_equal(whole[name], np.concatenate([np.load(file)[name] for file in files]))

    content = files[1].read_bytes()
    files[1].unlink()  # what a killed run leaves: finished shards
    before = [files[index].stat().st_mtime_ns for index in (0, 2)]
    generated("shards", *options, "shard_size=300")
    assert files[1].read_bytes() == content
    assert [files[index].stat().st_mtime_ns for index in (0, 2)] == before
    assert {path.name for path in folder.iterdir()} == {*(file.name for file in files), "shards.json"}

    with pytest.raises(UserError, match="shards of other settings"):
        generated("shards", *options, "shard_size=300", "truncation=0.5")
    with pytest.raises(UserError, match=r"000000600-000000699.npz: this shard has some of the images"):
        generated("shards", *options[::2], "num_images=900", "shard_size=300")
    assert files[1].read_bytes() == content
    generated("shards", *options[::2], "num_images=400", "shard_size=200", "truncation=0.5", "overwrite=true")
    assert len(list(folder.glob("*.npz"))) == 2


def test_array_jobs_share_a_folder(generated, tmp_path):
    options = ("format=npz", "num_images=200", "shard_size=100")
    for first in (200, 0):
        folder = generated("shards", *options, f"first={first}")
    files = sorted(folder.glob("*.npz"))
    whole = generated("whole.npz", "num_images=400")
    assert np.array_equal(whole["images"], np.concatenate([np.load(file)["images"] for file in files]))


def test_mnist_loaders_read_idx(generated):
    expected = generated("a.npz", "num_images=300", "seeds=1")
    folder = generated("idx", "num_images=300", "seeds=1", "format=idx")
    images, labels = read_split(folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte", 10)
    assert np.array_equal(images.numpy(), expected["images"])
    assert np.array_equal(labels.numpy(), expected["labels"])
    folder = generated("shards", "num_images=300", "seeds=1", "format=idx", "shard_size=200")
    span = "000000200-000000299"
    shard = folder / f"train-images-{span}-idx3-ubyte", folder / f"train-labels-{span}-idx1-ubyte"
    assert np.array_equal(read_split(*shard, 10)[0].numpy(), expected["images"][200:])
    folder = generated("unlabelled", "format=idx", model="unconditional")
    assert [path.name for path in folder.iterdir()] == ["train-images-idx3-ubyte"]


def test_two_commands_make_a_whole_mnist(generated, tmp_path):
    options = ("format=idx", "digits=all")
    generated("generated/MNIST/raw", *options, "num_images=60")
    generated("generated/MNIST/raw", *options, "num_images=20", "first=60", "split=test")
    expected = generated("a.npz", "digits=all", "num_images=80")
    for train, span in ((True, slice(0, 60)), (False, slice(60, 80))):
        found = torchvision.datasets.MNIST(tmp_path / "generated", train=train)
        assert np.array_equal(found.data.numpy(), expected["images"][span, 0])
        assert np.array_equal(found.targets.numpy(), expected["labels"][span])
    source = MNIST(mirrors=[])
    source.dir = tmp_path / "generated"
    source.prepare()
    assert np.array_equal(source.test()[0].numpy(), expected["images"][60:])
    with pytest.raises(UserError, match=r"t10k-.*-ubyte: it is there already; overwrite=true"):
        generated("generated/MNIST/raw", *options, "num_images=20", "split=test")


def test_one_pair_and_shards_do_not_lie_side_by_side(generated, tmp_path):
    def names():
        return sorted(path.name for path in (tmp_path / "a").iterdir())

    pair = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
    options = ("a", "format=idx", "num_images=20")
    (tmp_path / "a").mkdir()
    generated(*options)
    with pytest.raises(UserError, match="is there already; overwrite=true"):
        generated(*options, "shard_size=20")
    assert names() == pair
    generated(*options, "shard_size=20", "overwrite=true")
    spanned = [f"train-{kind}-000000000-000000019-idx{rank}-ubyte" for kind, rank in (("images", 3), ("labels", 1))]
    assert names() == ["shards.json", *spanned]
    with pytest.raises(UserError, match="is there already; overwrite=true"):
        generated(*options)
    generated(*options, "overwrite=true")
    assert names() == pair


def test_settings_without_shards_block_nothing_and_those_of_others_stay(generated, tmp_path):
    options = ("a", "format=npz", "num_images=20", "shard_size=20")
    folder = generated(*options)
    (folder / "images-000000000-000000019.npz").unlink()
    generated(*options, "seeds=1")
    for content in ('{"mine": 1}', "mine"):
        (folder / "shards.json").write_text(content)
        with pytest.raises(UserError, match=r"its shards.json is not of `gan generate`"):
            generated(*options, "overwrite=true")
        assert (folder / "shards.json").read_text() == content


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
    assert BOUNDS["generate"]["split"].values == tuple(SPLITS)


def test_an_output_that_cannot_be_written_is_named(generated, tmp_path):
    (tmp_path / "file").write_text("")
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


def test_images_come_in_small_pieces(model):
    samples = Samples(model, None, [0, 1])
    assert max(len(piece) for piece in samples.images(100, 1100)) == 256


def test_seeds():
    assert parse_seeds("0-3") == [0, 1, 2, 3]
    assert parse_seeds([7, "1-2"]) == [7, 1, 2]
    for wrong in ("3-1", "-1", "a", None, [], True, 1.5, "0-1000000"):
        with pytest.raises(UserError, match="seeds="):
            parse_seeds(wrong)


HEAVY = "lightning torchvision sklearn matplotlib scipy torchmetrics wandb pandas sympy torch._dynamo torch._inductor"


@pytest.mark.process
def test_it_starts_without_heavy_imports(checkpoints, tmp_path):
    """From a checkpoint, then from an exported file."""
    path, exported = checkpoints["conditional"], tmp_path / "exported.safetensors"
    export(compose("export", [f"ckpt='{path}'", f"output='{exported}'", f"output_dir='{tmp_path}'"]))
    code = f"""
import sys
from gan.cli import main
for path in {[str(path), str(exported)]}:
    sys.argv = ["gan", "generate", f"ckpt='{{path}}'", "digits=[3,1,4]"]
    assert main() == 0
    print([name for name in {HEAVY.split()} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [Image.open(written).size for written in lines[1::3]] == [(552, 192)] * 2
    assert lines[2::3] == ["[]"] * 2
