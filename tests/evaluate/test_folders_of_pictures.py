"""Pictures in folders: what is read, in which order, and with which labels."""

import numpy as np
import pytest
from PIL import Image
from saved_images import IMAGES, LABELS, read, save_pictures

from gan.errors import UserError
from gan.evaluate.image_files import read_images


def test_what_is_hidden_in_a_folder_is_not_read(tmp_path):
    folder = tmp_path / ".hidden" / "pictures"
    for hidden in ("", ".gan-generate-x", "some/.ipynb_checkpoints"):
        save_pictures(folder / hidden, "{number:06d}_digit_{label}{suffix}")
    found, classes = read(folder)
    assert np.array_equal(found, IMAGES)
    assert classes == LABELS.tolist()


@pytest.mark.parametrize(
    ("name", "mode", "suffix", "labeled"),
    [
        ("{number:06d}_digit_{label}{suffix}", "L", ".png", True),
        ("{number:06d}_seed7_digit{label}{suffix}", "L", ".png", True),  # of a service's zip file
        ("{label}/{number}{suffix}", "RGB", ".png", True),
        ("test/{label}/{number:03d}{suffix}", "RGBA", ".PNG", True),
        ("{number:03d}{suffix}", "LA", ".png", False),
        ("{number:03d}{suffix}", "P", ".bmp", False),
        ("some/{number:03d}{suffix}", "L", ".PNM", False),
    ],
)
def test_a_folder_of_pictures(tmp_path, name, mode, suffix, labeled):
    save_pictures(tmp_path / "pictures", name, mode, suffix)
    (tmp_path / "pictures" / "notes.txt").write_text("made by another program")
    found, classes = read(tmp_path / "pictures")
    order = np.argsort(LABELS, kind="stable") if "{label}/" in name else np.arange(len(LABELS))
    if "{label}/{number}" in name:  # 10 comes before 2
        order = sorted(order, key=lambda i: (str(LABELS[i]), f"{i}.png"))
    assert np.array_equal(found, IMAGES[order])
    assert classes == (LABELS[order].tolist() if labeled else None)


def test_a_picture_without_a_label_among_others_is_named(tmp_path, caplog):
    for name in ("3/a.png", "7/b.png", "stray.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (28, 28)).save(tmp_path / name)
    assert read_images(tmp_path).labels is None
    assert f"images={tmp_path}: stray.png has no label, so none of the labels there is used" in caplog.text


def test_pictures_are_as_viewers_show_them(tmp_path):
    """Of 16 bits and of one, with one of two colours transparent, turned as a camera says, and nearly black."""
    Image.fromarray(IMAGES[0, 0].astype(np.uint16) * 257).save(tmp_path / "a.png")
    Image.fromarray(IMAGES[1, 0] > 127).save(tmp_path / "b.png")
    Image.fromarray(IMAGES[1, 0] > 127).save(tmp_path / "c.png", transparency=255)
    turned = Image.Exif()
    turned[0x112] = 6
    Image.fromarray(IMAGES[0, 0]).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "d.png", exif=turned)
    Image.fromarray(np.eye(28, dtype=np.uint8)).save(tmp_path / "e.png")
    expected = [IMAGES[0, 0], (IMAGES[1, 0] > 127) * 255, IMAGES[0, 0] * 0, IMAGES[0, 0], np.eye(28)]
    assert np.array_equal(read(tmp_path)[0][:, 0], expected)


@pytest.mark.parametrize(
    ("name", "pixels", "found"),
    [
        ("a.png", IMAGES[0, 0].astype(np.uint16), "uint16 from 0 to 255"),
        ("a.tif", IMAGES[0, 0].astype(np.int32), "int32 from 0 to 255"),
        ("a.tif", IMAGES[0, 0].astype(np.int32) * 300, "int32 from 0 to 76500"),
        ("a.tif", (IMAGES[0, 0] / 255).astype(np.float32), "float32 from 0 to 1"),
    ],
)
def test_a_picture_whose_range_cannot_be_told_is_refused(tmp_path, name, pixels, found):
    Image.fromarray(pixels).save(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name}: {found}; a picture has whole numbers up to 255 in 8 bits or up to "):
        read(tmp_path)


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png"])
def test_a_file_of_several_pictures_is_refused(tmp_path, suffix):
    first, *others = (Image.fromarray(image) for image in IMAGES[:3, 0])
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=others)
    with pytest.raises(UserError, match=rf"images=.*a{suffix}: 3 pictures in one file; a file for each is needed"):
        read(tmp_path)


def test_folders_behind_links_are_read(tmp_path):
    save_pictures(tmp_path / "theirs", "{label}/{number:02d}{suffix}")
    (folder := tmp_path / "mine").mkdir()
    for path in (tmp_path / "theirs").iterdir():
        (folder / path.name).symlink_to(path)
    (tmp_path / "theirs" / "up").symlink_to(tmp_path / "theirs")
    assert read(folder)[1] == read(tmp_path / "theirs")[1] == sorted(LABELS.tolist())
    (folder / "lost.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"lost\.png: not a readable picture"):
        read(folder)
