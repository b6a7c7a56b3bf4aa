"""The page in Chromium. What takes long to import is imported when a browser is there."""

import io
import json

import numpy as np
import received
import torch
from PIL import Image

PATIENCE = 60


class Page:
    """The page, used by its visible elements."""

    def __init__(self, browser, url):
        self.browser, self.url = browser, url
        self.open("ui")

    def open(self, path):
        """Goes to a page of the service, and forgets what earlier pages requested and logged."""
        self.browser.get("about:blank")
        self.requested("")
        self.browser.get_log("browser")
        self.browser.get(f"{self.url}/{path}")

    def element(self, selector):
        """Waits for an element that matches."""
        return self.until(lambda: self.elements(selector))[0]

    def elements(self, selector):
        return self.browser.find_elements("css selector", selector)

    def __getitem__(self, name):
        return self.browser.find_element("id", name)

    def press(self, name, key):
        """Presses a key of the keyboard, such as HOME, in an element."""
        from selenium.webdriver.common.keys import Keys

        self[name].send_keys(getattr(Keys, key))

    def choice(self, name):
        """A list to choose from."""
        from selenium.webdriver.support.ui import Select

        return Select(self[name])

    def until(self, holds):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, PATIENCE, 0.05).until(lambda browser: holds())

    def images(self):
        """Waits until the images have arrived, and returns their elements."""
        self.until(lambda: self["generate-status"].text and self["images"].get_attribute("aria-busy") is None)
        return self["images"].find_elements("tag name", "img")

    def generate(self, **fields):
        for name, text in fields.items():
            self[name].clear()
            self[name].send_keys(text)
        self["generate"].click()

    def interpolated(self):
        self.until(lambda: self["interpolate-status"].text and self["frame"].get_attribute("aria-busy") is None)
        return self["frame"]

    def error(self, name="generate-error"):
        return self.until(lambda: self[name].text)

    def requested(self, path):
        """The URLs with this path among the requests since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if path in url and not url.startswith(("data:", "blob:"))]

    def download(self, button, ending):
        """Clicks a button and returns the file that it downloads."""
        button.click()
        return self.until(lambda: next(self.browser.downloads.glob(f"*.{ending}"), None))


def pixels_on_screen(element):
    """An image as the screen shows it, float [1, 28, 28] in 0..1."""
    screen = Image.open(io.BytesIO(element.screenshot_as_png)).convert("L")
    return torch.from_numpy(np.asarray(screen.resize((28, 28), Image.Resampling.BOX), np.float32) / 255)[None]


def pixels(element):
    """An image as the service sent it, uint8 [28, 28]."""
    return received.pixels(element.get_attribute("src").removeprefix("data:image/png;base64,"))


def classify(classifier, elements):
    return classifier(torch.stack([pixels_on_screen(element) for element in elements])).argmax(1).tolist()
