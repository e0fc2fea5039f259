import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from analysis.report.facts import Picture
from analysis.report.image_uris import MAX_SIDE, heat_uri, picture_uri


def read(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(b64decode(data))))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_image_keeps_its_pixels(channels):
    pixels = np.arange(20 * 10 * channels, dtype=np.uint8).reshape(20, 10, channels)
    assert np.array_equal(read(picture_uri(pixels)).reshape(pixels.shape), pixels)


def test_large_image_is_made_smaller():
    assert max(read(picture_uri(np.zeros((900, 500, 1), np.uint8))).shape) == MAX_SIDE


def test_heat_colors_only_where_it_is_warm():
    heat = np.zeros((8, 8), np.uint8)
    heat[2, 3] = 255
    picture = Picture(np.full((8, 8, 1), 100, np.uint8), "a", "b", 0.9, heat)
    found = read(heat_uri(picture))
    assert tuple(found[7, 7]) == (100, 100, 100)
    assert found[2, 3, 0] > 150


def test_picture_without_a_map_has_no_overlay():
    assert heat_uri(Picture(np.zeros((8, 8, 1), np.uint8), "a")) is None
