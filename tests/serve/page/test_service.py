"""The page's requests: what it says when one fails, and the API key."""

import re

import pytest

pytestmark = pytest.mark.browser


def test_errors_when_the_service_is_busy_or_stopped(page):
    shown = page("rate_limit=3/minute")
    shown.images()
    shown.interpolated()  # the third request
    shown["generate"].click()
    assert re.fullmatch(r"The rate limit is 3 per 1 minute; try again in \d+ seconds?\.", shown.error())
    shown.stop_service()
    shown["generate"].click()
    shown.until(lambda: "The service cannot be reached" in shown.error())
    assert shown["generate"].is_enabled()


def test_it_asks_for_a_key_if_the_service_requires_one(page):
    shown = page("api_keys=[open-sesame]")
    assert shown.error("key-error") == "The header X-API-Key must have a valid API key."
    shown["key"].send_keys("wrong")
    shown.press("key", "ENTER")
    shown.until(lambda: len(shown.requested("/v1/models")) > 0)
    shown["key"].clear()
    shown["key"].send_keys("sésame")
    shown.press("key", "ENTER")
    shown.until(lambda: shown["key-error"].text == "An API key is plain ASCII text.")
    shown.browser.refresh()  # neither was kept
    shown.until(lambda: shown.error("key-error") == "The header X-API-Key must have a valid API key.")
    shown["key"].send_keys("open-sesame")
    shown.press("key", "ENTER")
    assert len(shown.images()) == 40
    assert not shown["key-form"].is_displayed()
    shown.browser.refresh()
    assert len(shown.images()) == 40


def test_it_works_where_the_browser_blocks_storage(page):
    shown = page("api_keys=[open-sesame]")
    block = "Object.defineProperty(window, 'sessionStorage', { get: () => { throw new DOMException('blocked'); } })"
    identifier = shown.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": block})
    try:
        shown.open("ui")
        shown.error("key-error")
        shown["key"].send_keys("open-sesame")
        shown.press("key", "ENTER")
        assert len(shown.images()) == 40
        shown.interpolated()
    finally:
        shown.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", identifier)


def test_a_response_that_never_comes_is_an_error_in_the_end(page, hold):
    shown = page()
    shown.interpolated()
    shown.browser.execute_script(
        "const timeout = AbortSignal.timeout; AbortSignal.timeout = (ms) => timeout.call(AbortSignal, ms / 1000)"
    )
    hold.clear()
    try:
        shown.generate(seed="11")
        assert "The service cannot be reached" in shown.error()
        assert shown["generate"].is_enabled()
    finally:
        hold.set()


@pytest.mark.parametrize(
    "body",
    ["'<html>'", "new ReadableStream({ pull: (reader) => reader.error(new TypeError()) })"],
    ids=["the sign-in of a proxy", "a response that breaks off"],
)
def test_a_response_that_cannot_be_read_is_one_sentence(page, body):
    shown = page()
    shown.interpolated()
    shown.browser.execute_script(f"window.fetch = async () => new Response({body})")
    shown["generate"].click()
    assert shown.error() == "The response is incomplete or not the service's. Load this page again."
