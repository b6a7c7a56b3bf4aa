"""The documentation of the endpoints in a real Chromium, and all pages under a path."""

import pytest
from browsing import Page
from listening import listening
from nginx import in_front_of

pytestmark = pytest.mark.browser


OPERATION = "#operations-published_services-generate_image_generate_image_post"


def test_swagger_ui_sends_requests_and_needs_no_other_host(page):
    shown = page()
    shown.open("docs")
    for selector in (".opblock-summary-control", ".try-out__btn", ".execute"):
        shown.element(f"{OPERATION} {selector}").click()
    image = shown.element(".live-responses-table img")
    shown.until(lambda: image.get_property("naturalWidth") == 28)
    urls = shown.requested("")
    assert f"{shown.url}/generate/image" in urls
    assert [url for url in urls if not url.startswith(f"{shown.url}/")] == []
    assert shown.browser.get_log("browser") == []


def test_redoc_is_rendered_and_reaches_no_other_host(page):
    shown = page()
    shown.open("redoc")
    shown.element("[role=search] input").send_keys("interpol")
    assert "Interpolate" in shown.element("[data-role='search:results'] li").text
    assert [url for url in shown.requested("") if not url.startswith(f"{shown.url}/")] == []
    assert shown.browser.get_log("browser") == []


def test_page_and_documentation_work_under_a_path_behind_nginx(chromium, settings, tmp_path):
    with listening(settings()) as (url, _), in_front_of(url, tmp_path) as proxy:
        shown = Page(chromium, f"{proxy}/gan")
        assert len(shown.images()) == 40
        shown.interpolated()
        chromium.find_element("link text", "API").click()
        for selector in (".opblock-summary-control", ".try-out__btn", ".execute"):
            shown.element(f"{OPERATION} {selector}").click()
        assert shown.element(".live-responses-table img").is_displayed()
        assert chromium.current_url.startswith(f"{proxy}/gan/docs")
        assert [each for each in shown.requested("") if not each.startswith(f"{proxy}/gan/")] == []
        assert chromium.get_log("browser") == []
