"""JPEGs that end too early for the size that they claim, and plain ones that are as short."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from odd_pictures import encoded, jpeg_claiming

from mtpano_model.pictures.decode import decode_panorama, decode_picture
from mtpano_model.pictures.header import read_header
from mtpano_model.pictures.picture import BadPicture

OPTIMIZED = (cv2.IMWRITE_JPEG_OPTIMIZE, 1)
PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
FULL_COLOURS = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
WAYS = [(), OPTIMIZED, PROGRESSIVE, (*OPTIMIZED, *FULL_COLOURS), (*PROGRESSIVE, *FULL_COLOURS)]


@pytest.mark.parametrize("size", [(512, 1024), (509, 1018)])
@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 90)])
def test_a_plain_picture_is_read_however_it_was_encoded(colour, options, size):
    plain = np.full((*size, 3), colour, np.uint8)
    found = decode_panorama(encoded("jpg", plain, *options)).rgb
    assert np.abs(found - plain.astype(int)).max() < 5
    grey = encoded("jpg", plain[..., 0], *options[:2])
    assert decode_picture(grey).size == size


@pytest.mark.parametrize("options", [OPTIMIZED, PROGRESSIVE])
def test_the_shortest_jpeg_of_the_largest_size_is_whole(options):
    data = encoded("jpg", np.full((8192, 16384), 77, np.uint8), *options)
    assert len(data) < 8192 * 16384 / 64 / 8 * 2.1  # 2 bits a block: none can be shorter
    assert read_header(data).size == (8192, 16384)


@pytest.mark.parametrize("options", [OPTIMIZED, (*OPTIMIZED, *FULL_COLOURS)])
def test_a_plain_picture_that_lost_its_second_half_is_refused(options):
    data = encoded("jpg", np.full((1024, 2048, 3), 77, np.uint8), *options)
    with pytest.raises(BadPicture, match=r"cut off .*1024x2048 pixels, expected a whole JPEG$"):
        decode_panorama(data[: len(data) // 2] + b"\xff\xd9")


@pytest.mark.parametrize("options", [(), PROGRESSIVE])
def test_a_short_picture_that_claims_a_large_size_is_refused(options):
    data = encoded("jpg", None, *options)
    with pytest.raises(BadPicture, match=r"\d+ bytes are too few for 8192x16384 pixels"):
        decode_panorama(jpeg_claiming(8192, 16384, data))
