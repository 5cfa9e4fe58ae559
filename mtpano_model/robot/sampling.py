"""Sample a panorama along other directions, turned or through a pinhole, across seam and poles.

Angles come from OpenCV's vectorised arc tangent, which is off by at most 0.01 degrees: 0.03 pixels
of 1024. That makes new maps cheap enough for an attitude that changes with every image.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import latitudes, longitudes
from mtpano_model.pictures.size import Size

Floats = NDArray[np.float32]


def places(x: Floats, y: Floats, z: Floats, size: Size) -> tuple[Floats, Floats]:
    """Column and row of directions [h, w] on a panorama of `size` (H, W); 0 is a pixel's centre.

    Directions may have any length. Columns lie in [-0.5, W - 0.5], rows in [-0.5, H - 0.5].
    """
    height, width = size
    # Half a turn on, so that the angle begins at the panorama's left border.
    horizontal, column = cv2.cartToPolar(-z, -x)
    row = cv2.phase(-y, horizontal)  # from straight up
    column *= np.float32(width / (2 * np.pi))
    column -= np.float32(0.5)
    row *= np.float32(height / np.pi)
    row -= np.float32(0.5)
    return column, row  # type: ignore[return-value]


def turned_rays(
    rotation: NDArray[Any], size: Size, rows: slice = slice(None)
) -> tuple[Floats, Floats, Floats]:
    """x, y, z [h, W] of rotation @ ray for every pixel in those rows of a panorama of `size`."""
    (sin_lat, cos_lat), (sin_lon, cos_lon) = ray_factors(size)
    sin_lat, cos_lat = sin_lat[rows, None], cos_lat[rows, None]
    turn = np.asarray(rotation, np.float32)
    x, y, z = (
        np.multiply(cos_lat, part[0] * sin_lon + part[2] * cos_lon) - part[1] * sin_lat
        for part in turn
    )
    return x, y, z


class Places:
    """Where to look in panoramas of `size`: along directions x, y, z [h, w]."""

    def __init__(self, x: Floats, y: Floats, z: Floats, size: Size) -> None:
        self.size = size
        self._column, self._row = places(x, y, z, size)

    def nearest(self) -> Nearest:
        """Takes the nearest pixel."""
        # A place exactly on the lower or right border belongs to the last pixel.
        column = np.minimum(self._column, np.float32(self.size[1] - 0.501))
        row = np.minimum(self._row, np.float32(self.size[0] - 0.501))
        pixels: Any
        pixels, _ = cv2.convertMaps(column, row, cv2.CV_16SC2, nninterpolation=True)
        return Nearest(pixels, self.size)

    def linear(self) -> Linear:
        """Interpolates bilinearly."""
        # Into the border that `bordered` adds.
        maps: Any = cv2.convertMaps(self._column + 1, self._row + 1, cv2.CV_16SC2)
        return Linear(*maps)


class Nearest:
    """pixels: column and row of the pixel to take in panoramas of `size`, int16 [h, w, 2].
    flat: its number, row by row, [h, w]."""

    def __init__(self, pixels: NDArray[np.int16], size: Size) -> None:
        self.pixels = pixels
        self.flat = pixels[..., 1] * np.intp(size[1]) + pixels[..., 0]

    def __call__(self, image: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """[H, W] or [H, W, C] of any type that OpenCV knows -> [h, w] or [h, w, C].

        A uint8 picture may come with a fourth channel for nothing, see `with_room`; what is taken
        from it has three.
        """
        if image.ndim == 2:
            return self._take(image, out)
        if image.dtype == np.uint8 and image.shape[2] in (3, 4):
            four = image if image.shape[2] == 4 else with_room(image)
            taken: Any = self._take(four.view(np.uint32)[..., 0])
            taken = taken[..., None].view(np.uint8)
            return cv2.cvtColor(taken, cv2.COLOR_BGRA2BGR, dst=out)
        return cv2.remap(image, self.pixels, np.array([]), cv2.INTER_NEAREST, dst=out)

    def _take(self, image: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        # A third of OpenCV's time; no index is out of bounds, and to wrap costs half of to clip.
        return np.take(image.reshape(-1), self.flat, out=out, mode="wrap")


def with_room(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture [H, W, 3] with a fourth channel: pixels of four bytes are taken twice as fast."""
    four: Any = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
    return four


class Linear(NamedTuple):
    """Fixed-point maps into a panorama with a border, as OpenCV makes them."""

    pixels: NDArray[np.int16]
    weights: NDArray[np.uint16]

    def __call__(self, image: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """uint8 or float32 [H, W] or [H, W, C] -> [h, w] or [h, w, C]."""
        return cv2.remap(bordered(image), self.pixels, self.weights, cv2.INTER_LINEAR, dst=out)


def bordered(image: NDArray[Any]) -> NDArray[Any]:
    """The panorama with one more pixel on every side: its neighbours on the sphere."""
    height, width = image.shape[:2]
    out = np.empty((height + 2, width + 2, *image.shape[2:]), image.dtype)
    out[1:-1, 1:-1] = image
    # Beyond a pole the same row goes on, half a turn away.
    out[0, 1:-1] = np.roll(image[0], width // 2, axis=0)
    out[-1, 1:-1] = np.roll(image[-1], width // 2, axis=0)
    out[:, 0] = out[:, -2]
    out[:, -1] = out[:, 1]
    return out


@lru_cache(maxsize=16)
def ray_factors(size: Size) -> tuple[Floats, Floats]:
    """Sine and cosine of latitude [2, H] and of longitude [2, W], of which rays are products."""
    latitude, longitude = latitudes(size[0]), longitudes(size[1])
    return (
        np.stack([np.sin(latitude), np.cos(latitude)]).astype(np.float32),
        np.stack([np.sin(longitude), np.cos(longitude)]).astype(np.float32),
    )


def along(direction: NDArray[Any], size: Size, step: int = 1) -> Floats:
    """Cosine between a unit vector and every `step`-th pixel's ray, rows and columns, [H, W].

    With `down` it is the sine of the angle below the horizon.
    """
    every = slice(step // 2, None, step)
    (sin_lat, cos_lat), (sin_lon, cos_lon) = (part[:, every] for part in ray_factors(size))
    x, y, z = (np.float32(part) for part in direction)
    return np.multiply(cos_lat[:, None], x * sin_lon + z * cos_lon) - y * sin_lat[:, None]
