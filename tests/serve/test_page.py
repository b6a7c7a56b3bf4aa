"""The page at /ui in a real Chromium, with the service behind it."""

import contextlib
import io
import os
import re
import shutil
import zipfile

import numpy as np
import pytest
import torch
from browsing import Page, listening, read, seen, sent
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from gan.metrics.extractor import load_digit_classifier

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PRETRAINED = ("ckpt=pretrained",)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser that finds no host but this one; what it downloads lies in its `downloads`."""
    browser, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if browser is None or driver is None:
        reason = "needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "headless=new",
        "window-size=1280,1200",
        "no-sandbox",
        "disable-dev-shm-usage",
        "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    opened.downloads = tmp_path_factory.mktemp("downloads")
    behaviour = {"behavior": "allow", "downloadPath": str(opened.downloads)}
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    yield opened
    opened.quit()


@pytest.fixture
def page(chromium, settings):
    """A function from overrides to the page of a service with them."""
    with contextlib.ExitStack() as stack:

        def opened(*overrides, **options):
            url, end = stack.enter_context(listening(settings(*overrides, **options)))
            shown = Page(chromium, url)
            shown.url, shown.end_service = url, end
            return shown

        yield opened


@pytest.fixture(scope="module")
def classifier():
    return load_digit_classifier()


def test_it_draws_and_says_what_drew_without_asking_anyone_else(page):
    shown = page()
    assert len(shown.drawn()) == 40
    shown.morphed()
    assert "40 images by default, version " in shown["draw-status"].text
    assert not shown["key-form"].is_displayed()
    assert not shown["model-choice"].is_displayed()
    asked = shown.requested("")
    assert f"{shown.url}/v1/generate" in asked
    assert [url for url in asked if not url.startswith(f"{shown.url}/")] == []
    assert shown.browser.get_log("browser") == []


def test_the_digits_asked_for_arrive(page, classifier):
    shown = page(*PRETRAINED)
    shown.drawn()
    for key in "2026":
        shown["keypad"].find_elements(By.TAG_NAME, "button")[int(key)].click()
    shown.draw(count="8", seed="3")
    shown.until(lambda: "8 images" in shown["draw-status"].text)
    assert read(classifier, shown.drawn()) == [2, 0, 2, 6] * 2
    assert shown.drawn()[2].get_attribute("alt") == "a drawn 2"
    shown["clear"].click()
    shown.draw(digits="7", count="1")
    shown.until(lambda: "1 image by" in shown["draw-status"].text)
    assert read(classifier, shown.drawn()) == [7]


def test_seeds_and_truncation(page):
    shown = page()
    first = sent(shown.drawn()[0])
    shown.draw(seed="8")
    shown.until(lambda: "seed 8." in shown["draw-status"].text)
    assert (sent(shown.drawn()[0]) != first).any()
    shown.draw(seed="7")
    shown.until(lambda: "seed 7." in shown["draw-status"].text)
    assert (sent(shown.drawn()[0]) == first).all()
    shown["truncation"].send_keys(Keys.HOME)
    assert shown["truncation-value"].text == "0.2"
    shown["draw"].click()
    shown.until(lambda: (sent(shown.drawn()[0]) != first).any())
    shown["dice"].click()
    shown.until(lambda: "seed 7." not in shown["draw-status"].text)
    assert f"seed {shown['seed'].get_attribute('value')}." in shown["draw-status"].text


def test_a_mistake_is_told_in_a_sentence_and_what_was_drawn_stays(page):
    shown = page()
    shown.drawn()
    for fields, sentence in (
        ({"count": "100000"}, "at most 1024 in one request"),
        ({"count": "-1"}, "The number of images is a whole number, 1 or more."),
        ({"count": "3", "digits": "2x"}, "“x” is not a digit; write digits such as 2026."),
        ({"digits": "3,77"}, "digits are 0 to 9"),
        ({"digits": "3", "seed": "1.5"}, "A seed is a whole number, 0 or more."),
    ):
        shown.draw(**fields)
        assert sentence in shown.error()
        assert shown["draw-error"].get_attribute("role") == "alert"
        assert len(shown.drawn()) == 40
    shown.draw(seed="1")
    shown.until(lambda: not shown["draw-error"].is_displayed())
    assert len(shown.drawn()) == 3


def test_a_service_that_is_busy_or_gone(page):
    shown = page("rate_limit=3/minute")
    shown.drawn()
    shown.morphed()  # the third request
    shown["draw"].click()
    assert re.fullmatch(r"More than 3 per 1 minute; try again in \d+ seconds?\.", shown.error())
    shown.end_service()
    shown["draw"].click()
    shown.until(lambda: "The service cannot be reached" in shown.error())
    assert shown["draw"].is_enabled()


def test_a_key_is_asked_for_when_the_service_wants_one(page):
    shown = page("api_keys=[open-sesame]")
    assert shown.error("key-error") == "A key is needed in the header X-API-Key."
    shown["key"].send_keys("wrong", Keys.ENTER)
    shown.until(lambda: len(shown.requested("/v1/models")) > 0)
    shown["key"].clear()
    shown["key"].send_keys("open-sesame", Keys.ENTER)
    assert len(shown.drawn()) == 40
    assert not shown["key-form"].is_displayed()
    shown.browser.refresh()
    assert len(shown.drawn()) == 40


def test_dragging_the_morph_goes_from_one_digit_to_the_other(page, classifier):
    shown = page(*PRETRAINED)
    shown.morphed()
    Select(shown["from-digit"]).select_by_value("1")
    Select(shown["to-digit"]).select_by_value("0")
    before = shown["frame"].get_attribute("src")
    shown["morph"].click()
    shown.until(lambda: shown["frame"].get_attribute("src") != before)
    shown.requested("")
    pictures = []
    for key in (Keys.HOME, Keys.PAGE_UP, Keys.ARROW_RIGHT, Keys.END):
        shown["position"].send_keys(key)
        pictures.append(seen(shown["frame"]))
    assert len({picture.numpy().tobytes() for picture in pictures}) == 4
    assert classifier(torch.stack([pictures[0], pictures[-1]])).argmax(1).tolist() == [1, 0]
    assert shown["position"].get_attribute("aria-valuetext") == "frame 33 of 33"
    assert shown.requested("") == []
    shown["play"].click()
    shown.until(lambda: shown["position"].get_attribute("aria-valuetext") != "frame 33 of 33")


def test_downloads_are_what_is_shown(page):
    shown = page()
    pictures = np.stack([sent(picture) for picture in shown.drawn()])
    shown.draw(seed="99", digits="x")  # fields that were changed since
    png, archive, npy = shown["downloads"].find_elements(By.TAG_NAME, "button")
    assert np.array_equal(np.load(shown.download(npy, "npy"))[:, 0], pictures)
    with zipfile.ZipFile(shown.download(archive, "zip")) as files:
        first = Image.open(io.BytesIO(files.read(sorted(files.namelist())[0])))
    assert np.array_equal(np.asarray(first), pictures[0])
    grid = Image.open(shown.download(png, "png"))
    assert grid.size == (10 * 30 + 2, 4 * 30 + 2)
    assert Image.open(shown.download(shown["gif"], "gif")).n_frames == 33


def test_an_unconditional_model_takes_no_digits_and_says_why(page):
    shown = page(model="unconditional")
    assert len(shown.drawn()) == 40
    assert "unconditional" in shown["digits-hint"].text
    assert not shown["digits"].is_enabled()
    assert not shown["from-digit"].is_enabled()
    shown.morphed()


def test_one_of_several_models_may_be_chosen(page, checkpoints):
    models = f"{{one: {{ckpt: '{checkpoints['conditional']}'}}, other: {{ckpt: '{checkpoints['unconditional']}'}}}}"
    shown = page(f"models={models}")
    shown.drawn()
    assert "by one, version" in shown["draw-status"].text
    Select(shown["model"]).select_by_index(2)
    shown.until(lambda: "by other, version" in shown["draw-status"].text)
    shown.drawn()
    assert not shown["digits"].is_enabled()
    Select(shown["model"]).select_by_index(0)
    shown.until(lambda: "by one, version" in shown["draw-status"].text)
    assert shown["digits"].is_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(page, scheme):
    shown = page()
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        shown.drawn()
        shown.morphed()
        assert shown.browser.execute_script("return document.documentElement.scrollWidth") == 360
        buttons = [each for each in shown.browser.find_elements(By.TAG_NAME, "button") if each.is_displayed()]
        assert min(min(each.size.values()) for each in buttons) >= 44
        background = shown.browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
        brightness = sum(int(value) for value in re.findall(r"\d+", background)[:3]) / 3
        assert brightness > 200 if scheme == "light" else brightness < 50
    finally:
        shown.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_every_control_has_a_name(page):
    shown = page()
    shown.morphed()
    controls = shown.browser.find_elements(By.CSS_SELECTOR, "input, select, button, img")
    shown_controls = [each for each in controls if each.is_displayed()]
    assert len(shown_controls) > 50
    assert [each.get_attribute("outerHTML") for each in shown_controls if not each.accessible_name] == []
