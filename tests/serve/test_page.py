"""The page at /ui in a real Chromium, with the service behind it."""

import io
import re
import zipfile

import httpx
import numpy as np
import pytest
import torch
from browsing import classify, pixels, pixels_on_screen
from PIL import Image
from tiny_generators import replace, save_checkpoint

from gan.config.bounds import DIRECTIONS
from gan.inference.directions import measure_shapes
from gan.metrics import load_digit_classifier
from gan.serve import models

pytestmark = pytest.mark.browser


PRETRAINED = ("ckpt=pretrained",)


@pytest.fixture(scope="module")
def classifier():
    return load_digit_classifier()


def test_it_generates_and_names_the_model_without_requests_to_other_hosts(page):
    shown = page()
    assert len(shown.images()) == 40
    shown.interpolated()
    assert "40 images by model default, version " in shown["generate-status"].text
    assert not shown["key-form"].is_displayed()
    assert not shown["model-choice"].is_displayed()
    urls = shown.requested("")
    assert f"{shown.url}/v1/generate" in urls
    assert [url for url in urls if not url.startswith(f"{shown.url}/")] == []
    assert shown.browser.get_log("browser") == []


def test_it_shows_the_images_seen_and_follows_a_training(page, ckpt, monkeypatch):
    monkeypatch.setattr(models, "CHECK_SECONDS", 0.05)
    shown = page("watch=true", model=ckpt)
    first = pixels(shown.images()[0])
    assert shown["images-seen"].text == "The generator has seen 320 images. This page follows its training."
    shown.interpolated()
    frame = shown["frame"].get_attribute("src")
    shown.generate(seed="x")  # a field in the middle of a change stays as it is
    shown.error()
    replace(ckpt, 1640)
    shown.until(lambda: "has seen 1,640 images." in shown["images-seen"].text)
    shown.until(lambda: (pixels(shown.images()[0]) != first).any())
    shown.until(lambda: shown["frame"].get_attribute("src") != frame)
    assert "seed 7." in shown["generate-status"].text


def test_it_shows_the_requested_digits(page, classifier):
    shown = page(*PRETRAINED)
    shown.images()
    for key in "2026":
        shown.elements("#keypad button")[int(key)].click()
    shown.generate(count="8", seed="3")
    shown.until(lambda: "8 images" in shown["generate-status"].text)
    assert classify(classifier, shown.images()) == [2, 0, 2, 6] * 2
    assert shown.images()[2].get_attribute("alt") == "a generated 2"
    shown["clear"].click()
    shown.generate(digits="7", count="1")
    shown.until(lambda: "1 image by" in shown["generate-status"].text)
    assert classify(classifier, shown.images()) == [7]


def test_seeds_and_truncation(page):
    shown = page()
    first = pixels(shown.images()[0])
    shown.generate(seed="8")
    shown.until(lambda: "seed 8." in shown["generate-status"].text)
    assert (pixels(shown.images()[0]) != first).any()
    shown.generate(seed="7")
    shown.until(lambda: "seed 7." in shown["generate-status"].text)
    assert (pixels(shown.images()[0]) == first).all()
    shown.press("truncation", "HOME")
    assert shown["truncation-value"].text == "0.2"
    shown["generate"].click()
    shown.until(lambda: (pixels(shown.images()[0]) != first).any())
    shown["dice"].click()
    shown.until(lambda: "seed 7." not in shown["generate-status"].text)
    assert f"seed {shown['seed'].get_attribute('value')}." in shown["generate-status"].text


def test_sliders_move_the_images(page, monkeypatch):
    monkeypatch.setattr("gan.inference.directions.NUM_IMAGES", 1024)  # they are found sooner
    shown = page(*PRETRAINED)
    shown.images()
    shown.generate(digits="7", count="30", seed="3")
    shown.until(lambda: "30 images" in shown["generate-status"].text)

    def slant():
        images = np.stack([pixels(picture) for picture in shown.images()])
        return measure_shapes(torch.from_numpy(images)[:, None])[:, 0].mean().item()

    upright = slant()
    shown.press("direction-slant", "END")
    assert shown["direction-slant-value"].text == "+3"
    shown.until(lambda: slant() > upright + 0.3)
    shown.press("direction-slant", "HOME")
    shown.until(lambda: slant() < upright - 0.3)
    shown["directions-reset"].click()
    assert [shown[f"direction-{name}"].get_attribute("value") for name in DIRECTIONS] == ["0"] * 4
    shown.until(lambda: slant() == upright)


def test_an_error_is_one_sentence_and_the_images_stay(page):
    shown = page()
    shown.images()
    for fields, sentence in (
        ({"count": "100000"}, "at most 1024 in one request"),
        ({"count": "-1"}, "The number of images is a whole number, 1 or more."),
        ({"count": "3", "digits": "2x"}, "“x” is not a digit; write digits such as 2026."),
        ({"digits": "3,77"}, "digits are 0 to 9"),
        ({"digits": "3", "seed": "1.5"}, "A seed is a whole number, 0 to 9007199254740991."),
    ):
        shown.generate(**fields)
        assert sentence in shown.error()
        assert shown["generate-error"].get_attribute("role") == "alert"
        assert len(shown.images()) == 40
    shown.generate(seed="1")
    shown.until(lambda: not shown["generate-error"].is_displayed())
    assert len(shown.images()) == 3


def test_a_model_of_four_classes_is_offered_no_others(page, tmp_path):
    shown = page(f"ckpt='{save_checkpoint(tmp_path / 'four.ckpt', 4)}'")
    assert len(shown.images()) == 40
    shown.interpolated()
    assert not shown["generate-error"].is_displayed()
    assert [key.text for key in shown.elements("#keypad button") if key.is_displayed()] == ["0", "1", "2", "3"]
    for name in ("from-digit", "to-digit"):
        assert [option.text for option in shown.choice(name).options] == ["0", "1", "2", "3"]
        assert shown.choice(name).first_selected_option.text == "3"
    assert shown.browser.get_log("browser") == []


def test_the_slider_moves_from_one_digit_to_the_other(page, classifier):
    shown = page(*PRETRAINED)
    shown.interpolated()
    shown.choice("from-digit").select_by_value("1")
    shown.choice("to-digit").select_by_value("0")
    before = shown["frame"].get_attribute("src")
    shown["interpolate"].click()
    shown.until(lambda: shown["frame"].get_attribute("src") != before)
    shown.requested("")
    pictures = []
    for key in ("HOME", "PAGE_UP", "ARROW_RIGHT", "END"):
        shown.press("position", key)
        pictures.append(pixels_on_screen(shown["frame"]))
    assert len({picture.numpy().tobytes() for picture in pictures}) == 4
    assert classifier(torch.stack([pictures[0], pictures[-1]])).argmax(1).tolist() == [1, 0]
    assert shown["position"].get_attribute("aria-valuetext") == "frame 33 of 33"
    assert shown.requested("") == []
    shown["play"].click()
    shown.until(lambda: shown["position"].get_attribute("aria-valuetext") != "frame 33 of 33")


def test_downloads_have_the_images_on_the_page(page):
    shown = page()
    pictures = np.stack([pixels(picture) for picture in shown.images()])
    shown.generate(seed="99", digits="x")  # changed fields do not count until they are submitted
    png, archive, npy = shown.elements("#downloads button")
    assert np.array_equal(np.load(shown.download(npy, "npy"))[:, 0], pictures)
    with zipfile.ZipFile(shown.download(archive, "zip")) as files:
        first = Image.open(io.BytesIO(files.read(sorted(files.namelist())[0])))
    assert np.array_equal(np.asarray(first), pictures[0])
    grid = Image.open(shown.download(png, "png"))
    assert grid.size == (10 * 30 + 2, 4 * 30 + 2)
    assert Image.open(shown.download(shown["gif"], "gif")).n_frames == 33


def test_images_of_a_model_that_was_replaced_are_not_saved(page, ckpt):
    shown = page(f"models={{a: {{ckpt: '{ckpt}'}}}}")
    shown.interpolated()
    replace(ckpt, 640)
    httpx.post(f"{shown.url}/v1/models/a/reload").raise_for_status()
    for button, form in ((shown.element("#downloads button"), "generate"), (shown["gif"], "interpolate")):
        button.click()
        words = "Model a was replaced after it generated this. Generate again, then save."
        assert shown.error(f"{form}-error") == words
    shown.generate(seed="640")
    shown.until(lambda: "seed 640." in shown["generate-status"].text)
    shown.element("#downloads button").click()
    shown.until((shown.browser.downloads / "digits_seed640.png").exists)


def test_digits_are_disabled_for_an_unconditional_model_with_a_reason(page):
    shown = page(model="unconditional")
    assert len(shown.images()) == 40
    assert "unconditional" in shown["digits-hint"].text
    assert not shown["digits"].is_enabled()
    assert not shown["from-digit"].is_enabled()
    shown.interpolated()


def test_choosing_one_of_several_models(page, checkpoints):
    models = f"{{one: {{ckpt: '{checkpoints['conditional']}'}}, other: {{ckpt: '{checkpoints['unconditional']}'}}}}"
    shown = page(f"models={models}")
    shown.images()
    assert "by model one, version" in shown["generate-status"].text
    shown.choice("model").select_by_index(2)
    shown.until(lambda: "by model other, version" in shown["generate-status"].text)
    shown.images()
    assert not shown["digits"].is_enabled()
    shown.choice("model").select_by_index(0)
    shown.until(lambda: "by model one, version" in shown["generate-status"].text)
    assert shown["digits"].is_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(page, scheme):
    shown = page()
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        shown.images()
        shown.interpolated()
        assert shown.browser.execute_script("return document.documentElement.scrollWidth") == 360
        buttons = [each for each in shown.elements("button") if each.is_displayed()]
        assert min(min(each.size.values()) for each in buttons) >= 44
        background = shown.element("body").value_of_css_property("background-color")
        brightness = sum(int(value) for value in re.findall(r"\d+", background)[:3]) / 3
        assert brightness > 200 if scheme == "light" else brightness < 50
        colours = "return [getComputedStyle(arguments[0], '::placeholder').color, getComputedStyle(arguments[1]).color]"
        placeholder, hint = shown.browser.execute_script(colours, shown["digits"], shown["truncation-hint"])
        assert placeholder == hint
    finally:
        shown.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_every_control_has_a_name(page):
    shown = page()
    shown.interpolated()
    controls = shown.elements("input, select, button, img")
    shown_controls = [each for each in controls if each.is_displayed()]
    assert len(shown_controls) > 50
    assert [each.get_attribute("outerHTML") for each in shown_controls if not each.accessible_name] == []
