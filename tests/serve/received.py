"""What clients receive: responses on a connection, and images."""

import base64
import http.client
import io
import json

import numpy as np
from PIL import Image


def response(connection):
    """The status, type and error of a response, and whether the connection ends after it."""
    read = http.client.HTTPResponse(connection)
    read.begin()
    return read.status, read.getheader("content-type"), json.loads(read.read()), read.will_close


def pixels(text):
    """The image of a PNG file in base64, uint8 [28, 28] or [28, 28, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
