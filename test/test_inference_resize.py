"""Resizing on the sphere, against a slow reference that knows nothing but the half-pixel rule."""

from __future__ import annotations

import numpy as np
import pytest

from mtpano_model.geometry.sphere import latitudes, longitudes
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.pictures.resize import resize_image, resize_linear, resize_nearest

RNG = np.random.default_rng(0)


def reference_linear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Half-pixel bilinear in float64: columns modulo the width, rows repeated at the poles."""
    (h, w), (height, width) = image.shape[:2], size
    y = (np.arange(height) + 0.5) * h / height - 0.5
    x = (np.arange(width) + 0.5) * w / width - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    extra = (1,) * (image.ndim - 2)
    fy, fx = (y - y0).reshape(-1, 1, *extra), (x - x0).reshape(1, -1, *extra)
    rows = [np.clip(y0 + k, 0, h - 1) for k in (0, 1)]
    columns = [(x0 + k) % w for k in (0, 1)]
    image = image.astype(np.float64)
    top, bottom = (
        image[np.ix_(r, columns[0])] * (1 - fx) + image[np.ix_(r, columns[1])] * fx for r in rows
    )
    return top * (1 - fy) + bottom * fy


@pytest.mark.parametrize(
    "size", [(32, 64), (64, 128), (128, 256), (40, 80), (75, 150), (24, 48), (16, 32)]
)
def test_linear_is_exact_everywhere_also_at_the_seam_and_the_poles(size):
    image = RNG.random((32, 64), np.float32)
    np.testing.assert_allclose(resize_linear(image, size), reference_linear(image, size), atol=1e-6)


def test_linear_keeps_a_smooth_field_as_smooth_at_the_seam_as_elsewhere():
    def field(height: int, width: int) -> np.ndarray:
        lat, lon = latitudes(height)[:, None], longitudes(width)[None]
        return (3 + np.cos(lat) * np.sin(lon - 0.4)).astype(np.float32)

    error = np.abs(resize_linear(field(64, 128), (256, 512)) - field(256, 512))[8:-8]
    seam = np.roll(error, 8, axis=1)[:, :16].max()
    assert seam <= error[:, 200:300].max() * 1.5
    assert seam < 1.5e-3


@pytest.mark.parametrize("steps", [1, 5, 31])
def test_linear_commutes_with_a_roll(steps):
    image = RNG.random((16, 32), np.float32)
    rolled = resize_linear(np.roll(image, steps, axis=1), (48, 96))
    np.testing.assert_allclose(
        rolled, np.roll(resize_linear(image, (48, 96)), 3 * steps, axis=1), atol=1e-6
    )


def test_linear_writes_into_the_array_given():
    out = np.zeros((64, 128), np.float32)
    assert resize_linear(RNG.random((32, 64), np.float32), (64, 128), out) is out
    assert out.min() > 0


@pytest.mark.parametrize("size", [(64, 128), (80, 160), (20, 40), (75, 150), (16, 32)])
def test_nearest_takes_the_pixel_under_the_new_centre(size):
    rows, columns = np.mgrid[:32, :64].astype(np.uint8)
    for index, source, axis in ((rows, 32, 0), (columns, 64, 1)):
        center = np.moveaxis(resize_nearest(index, size), axis, -1) + 0.5
        wanted = (np.arange(size[axis]) + 0.5) * source / size[axis]
        assert np.abs(center - wanted).max() <= 0.5


def test_a_shrinking_picture_is_averaged_by_area():
    image = RNG.integers(0, 256, (64, 128, 3)).astype(np.uint8)
    blocks = image.reshape(16, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize_image(image, (16, 32)) - blocks).max() <= 0.51


@pytest.mark.parametrize("source", [(60, 120), (96, 192), (50, 100)])
def test_a_shrinking_picture_keeps_its_mean_at_any_ratio(source):
    lat, lon = latitudes(source[0])[:, None], longitudes(source[1])[None]
    smooth = 128 + 100 * np.cos(lat) * np.cos(lon)
    image = np.repeat(smooth[..., None], 3, axis=2).round().astype(np.uint8)
    small = resize_image(image, (16, 32)).astype(float)
    lat, lon = latitudes(16)[:, None], longitudes(32)[None]
    assert abs(small.mean() - image.mean()) < 0.5
    assert np.abs(small[..., 0] - (128 + 100 * np.cos(lat) * np.cos(lon))).max() < 2.5


def test_a_growing_picture_is_linear_across_the_seam():
    image = RNG.integers(0, 256, (16, 32, 3)).astype(np.uint8)
    assert np.abs(resize_image(image, (32, 64)) - reference_linear(image, (32, 64))).max() <= 1.01


def test_preprocess_swaps_the_channels_of_a_bgr_view():
    rgb = RNG.integers(0, 256, (40, 80, 3)).astype(np.uint8)
    view = np.ascontiguousarray(rgb[..., ::-1])[..., ::-1]
    np.testing.assert_array_equal(preprocess(view, (16, 32)), preprocess(rgb, (16, 32)))


def test_preprocess_reads_rows_with_padding_between_them():
    rgb = RNG.integers(0, 256, (40, 80, 3)).astype(np.uint8)
    padded = np.zeros((40, 96, 3), np.uint8)
    padded[:, :80] = rgb
    np.testing.assert_array_equal(preprocess(padded[:, :80], (16, 32)), preprocess(rgb, (16, 32)))


def test_preprocess_closes_a_step_at_the_seam_and_leaves_the_rest_alone():
    """Brightness that rises by 24 of 255 from left to right, as a careless stitcher leaves it."""
    ramp = np.broadcast_to(np.linspace(100, 124, 64)[:, None], (32, 64, 3)).astype(np.uint8)
    closed = preprocess(ramp, (32, 64))[0].astype(int)
    across = np.abs(np.roll(closed, -1, 1) - closed)
    assert across.max() <= 3
    np.testing.assert_array_equal(closed[:, 12:-12], ramp[:, 12:-12])


def test_preprocess_keeps_what_belongs_at_the_seam():
    edge = np.full((32, 64, 3), 20, np.uint8)
    edge[:, 32:] = 220  # a door frame, say
    smooth = 128 + 100 * np.cos(longitudes(64) - np.pi / 2)  # steepest at the seam
    smooth = np.broadcast_to(smooth[:, None], (32, 64, 3)).round().astype(np.uint8)
    noise = RNG.integers(0, 256, (32, 64, 3)).astype(np.uint8)
    for picture, most in ((edge, 0), (smooth, 10), (noise, 0)):
        kept = preprocess(picture, (32, 64))[0].astype(int)
        assert np.abs(kept - picture).max() <= most


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 16), np.uint8),
        np.zeros((8, 16, 4), np.uint8),
        np.zeros((8, 16, 3), np.uint16),
        np.zeros((0, 16, 3), np.uint8),
    ],
)
def test_preprocess_refuses_what_is_no_rgb_picture(picture):
    with pytest.raises(ValueError, match="expected uint8"):
        preprocess(picture, (8, 16))
