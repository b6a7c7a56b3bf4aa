"""Data sets as npz, npy and IDX files, whole and in shards."""

import numpy as np
import pytest

from gan.data import MNIST
from gan.errors import UserError
from gan.idx_files import read_split
from gan.inference import DigitGenerator


def test_an_npz_holds_images_and_labels(generated, model):
    with generated("a.npz", "num_images=300", "digits=all", "seeds=5") as found:
        assert set(found) == {"images", "labels"}
        assert (found["images"].shape, found["images"].dtype) == ((300, 1, 28, 28), np.uint8)
        assert found["labels"].dtype == np.int64
        assert found["labels"].tolist() == [i % 10 for i in range(300)]
        assert np.array_equal(found["images"], model.generate(300, seed=5).numpy())
    with np.load(generated("B.NPZ", model="unconditional")) as found:
        assert found["labels"].tolist() == [-1] * 64
        assert len(np.unique(found["images"].reshape(64, -1), axis=0)) == 64


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

    for other in ("truncation=0.5", "directions.slant=1"):
        with pytest.raises(UserError, match="shards of other settings"):
            generated("shards", *options, "shard_size=300", other)
    with pytest.raises(UserError, match=r"000000600-000000699.npz: this shard has some of the images"):
        generated("shards", *options[::2], "num_images=900", "shard_size=300")
    assert files[1].read_bytes() == content
    generated("shards", *options[::2], "num_images=400", "shard_size=200", "truncation=0.5", "overwrite=true")
    assert len(list(folder.glob("*.npz"))) == 2


@pytest.fixture
def meanwhile(monkeypatch):
    """A function that has something done while the next images are generated."""

    def plan(action):
        sample = DigitGenerator.sample_chunks

        def slow(self, inputs):
            action()
            return sample(self, inputs)

        monkeypatch.setattr(DigitGenerator, "sample_chunks", slow)

    return plan


def test_two_commands_at_once_do_not_mix_their_shards(generated, tmp_path, meanwhile):
    options = ("a", "format=npz", "num_images=20", "shard_size=20")
    settings = generated(*options) / "shards.json"
    mine = settings.read_text()
    shard = tmp_path / "a" / "images-000000000-000000019.npz"
    shard.unlink()
    meanwhile(lambda: settings.write_text(mine.replace("[0]", "[1]")))
    with pytest.raises(UserError, match="another command writes other images there; name another folder"):
        generated(*options)
    assert not shard.exists()


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.png", "a"])
def test_what_another_command_wrote_meanwhile_stays(generated, tmp_path, meanwhile, name):
    path = tmp_path / name if "." in name else tmp_path / "a" / "train-images-idx3-ubyte"
    meanwhile(lambda: path.write_text("theirs"))
    with pytest.raises(UserError, match=r"it is there already, of another command; overwrite=true replaces it"):
        generated(name, "num_images=2", *(() if "." in name else ["format=idx"]))
    assert path.read_text() == "theirs"


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
    from torchvision import datasets

    options = ("format=idx", "digits=all")
    generated("generated/MNIST/raw", *options, "num_images=60")
    generated("generated/MNIST/raw", *options, "num_images=20", "first=60", "split=test")
    expected = generated("a.npz", "digits=all", "num_images=80")
    for train, span in ((True, slice(0, 60)), (False, slice(60, 80))):
        found = datasets.MNIST(tmp_path / "generated", train=train)
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


@pytest.mark.parametrize("old", ["train-labels-idx1-ubyte.gz", "train-labels.idx1-ubyte", "TRAIN-LABELS-IDX1-UBYTE.GZ"])
def test_new_images_do_not_lie_beside_old_labels_of_another_spelling(generated, tmp_path, old):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / old).touch()
    options = ("a", "format=idx", "num_images=2")
    with pytest.raises(UserError, match=f"{old}: it is there already; overwrite=true"):
        generated(*options, model="unconditional")
    folder = generated(*options, "overwrite=true", model="unconditional")
    assert [path.name for path in folder.iterdir()] == ["train-images-idx3-ubyte"]


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
