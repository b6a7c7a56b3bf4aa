"""Keyboard, history and screen readers: what the two forms share."""

import os
import time

import pytest
from tiny_generators import save_checkpoint

from gan.serve import models

pytestmark = pytest.mark.browser


def test_the_keyboard_stays_where_it_was(page):
    shown = page()
    shown.images()
    shown.interpolated()
    for name in ("generate", "dice", "directions-reset", "interpolate", "interpolate-dice"):
        shown.press(name, "ENTER")
        shown.until(lambda name=name: shown[name].is_enabled())
        assert shown.browser.switch_to.active_element == shown[name]


def test_fields_are_as_they_say_when_a_browser_goes_back(page):
    shown = page()
    shown.images()
    shown.press("truncation", "HOME")
    shown.press("direction-slant", "END")
    shown.browser.execute_script("addEventListener('unload', () => 0)")  # else it keeps the page as it is
    shown.browser.get(f"{shown.url}/info")
    shown.browser.back()
    shown.images()
    assert (shown["truncation"].get_attribute("value"), shown["truncation-value"].text) == ("3", "off")
    assert (shown["direction-slant"].get_attribute("value"), shown["direction-slant-value"].text) == ("0", "0")


def test_a_screen_reader_says_what_is_seen_and_nothing_twice(page):
    shown = page()
    shown.interpolated()
    assert shown.element(".sliders").accessible_name == "Handwriting"
    assert shown["truncation"].get_attribute("aria-valuetext") == "off"
    shown.press("truncation", "HOME")
    assert shown["truncation"].get_attribute("aria-valuetext") == "0.2"
    watch = "new MutationObserver(() => { window.again = true }).observe(arguments[0], { childList: true })"
    shown.browser.execute_script(watch, shown["images-seen"])
    shown.generate(seed="8")
    shown.until(lambda: "seed 8." in shown["generate-status"].text)
    assert not shown.browser.execute_script("return window.again")


@pytest.mark.parametrize("num_classes", [None, 4])
def test_a_page_that_follows_a_training_shows_a_model_of_fewer_digits(page, ckpt, monkeypatch, num_classes):
    monkeypatch.setattr(models, "CHECK_SECONDS", 0.05)
    shown = page("watch=true", model=ckpt)
    shown.interpolated()
    shown.generate(digits="7", count="5")
    shown.until(lambda: "5 images" in shown["generate-status"].text)
    before = shown["generate-status"].text, shown["interpolate-status"].text
    os.replace(save_checkpoint(ckpt.with_name("new.ckpt"), num_classes), ckpt)
    shown.until(lambda: shown["generate-status"].text != before[0] and shown["interpolate-status"].text != before[1])
    assert len(shown.images()) == 5
    assert not shown["generate-error"].is_displayed()
    assert not shown["interpolate-error"].is_displayed()


@pytest.mark.slow
def test_a_page_that_follows_a_training_waits_for_a_slow_service(page, ckpt):
    shown = page("watch=true", model=ckpt)
    shown.interpolated()
    slow = {"offline": False, "latency": 8000, "downloadThroughput": -1, "uploadThroughput": -1}
    shown.browser.execute_cdp_cmd("Network.enable", {})
    shown.browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    try:
        shown.requested("")
        shown.until(lambda: shown.requested("/v1/models"))
        time.sleep(6)  # the page asks every five seconds
        assert shown.requested("/v1/models") == []
    finally:
        shown.browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow | {"latency": 0})
