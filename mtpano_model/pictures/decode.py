"""Encoded pictures -> arrays: the one way from bytes to pixels, for every reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.crop import find_crop
from mtpano_model.pictures.header import Header, read_header
from mtpano_model.pictures.panorama import as_panorama, refuse_shape
from mtpano_model.pictures.picture import BadPicture, Note, Picture
from mtpano_model.pictures.shape import check_pixels
from mtpano_model.pictures.size import Size
from mtpano_model.pictures.xmp import photo_sphere

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def decode_picture(data: bytes) -> Picture:
    """Any picture of any shape; BadPicture, with the reason, where it is damaged or too large.

    Grey becomes three equal channels, alpha is dropped, 16 bits keep their upper byte.
    """
    header = read_header(data)
    check_pixels(header.size)
    return _colors(data, header, header.size, ())


def decode_panorama(
    data: bytes, allow_non_2to1: bool = False, needed: Callable[[Size], Size] | None = None
) -> Picture:
    """A colour panorama; BadPicture also for 16-bit grey, which is depth, and for other shapes.

    What metadata say was cut off is put back as unseen, and of top-bottom stereo the left eye's
    picture is taken. needed: the least (H, W) that is of use, given the panorama's own; a JPEG is
    then decoded at 1/2, 1/4 or 1/8 of its size where that is enough, which is several times faster.
    """
    header = read_header(data)
    if header.bits == 16 and header.channels == 1:
        raise single_channel("mono16")
    return _panorama(data, header, allow_non_2to1, needed)


def decode_mask(data: bytes) -> Picture:
    """A picture that covers a panorama, of any shape, with what was cut off put back as dark."""
    return _panorama(data, read_header(data), True, None)


def _panorama(
    data: bytes, header: Header, allow_non_2to1: bool, needed: Callable[[Size], Size] | None
) -> Picture:
    sphere, stored = photo_sphere(header.xmp), header.size
    check_pixels(stored)
    crop = find_crop(sphere, stored)
    whole = stored if crop is None else crop.whole
    hint = "" if crop is not None else sphere.crop_hint()
    refuse_shape(whole, allow_non_2to1, hint)
    least = stored
    if needed is not None and header.kind == "JPEG":
        asked = needed(whole)
        least = -(-stored[0] * asked[0] // whole[0]), -(-stored[1] * asked[1] // whole[1])
    picture = _colors(data, header, least, sphere.notes())
    if crop is not None:
        picture = crop.padded(replace(picture, notes=(*picture.notes, crop.note())))
    return as_panorama(replace(picture, tilt=sphere.tilt), allow_non_2to1, hint)


def decode_stored(data: bytes) -> NDArray[Any]:
    """The values as stored, for labels: [H, W] or [H, W, 3 or 4] (BGR) of 8 or 16 bits.

    BadPicture where it is damaged or too large.
    """
    header = read_header(data)
    check_pixels(header.size)
    return _decode(data, header, cv2.IMREAD_UNCHANGED)


def single_channel(encoding: str) -> BadPicture:
    """The refusal of a depth or label image."""
    return BadPicture(
        "single_channel",
        f"encoding '{encoding}' has a single channel, expected a colour panorama such as rgb8: "
        "is this a depth topic or a depth map?",
    )


def _colors(data: bytes, header: Header, least: Size, notes: tuple[Note, ...]) -> Picture:
    flags = _REDUCED[_reduction(header.size, least)] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = np.asarray(_decode(data, header, flags), np.uint8)
    if header.orientation != 1:
        text = (
            f"its EXIF orientation {header.orientation} asks for a turn or a mirror image, and it "
            "is read as stored: if it is upside down, turn its pixels and remove the tag"
        )
        notes += (Note("orientation", text),)
    return Picture(pixels, "bgr", header.size, notes)


def _reduction(size: Size, least: Size) -> int:
    """The largest of 1, 2, 4, 8 by which `size` may be divided and still cover `least`."""
    covers = (n for n in _REDUCED if size[0] // n >= least[0] and size[1] // n >= least[1])
    return max(covers, default=1)


def _decode(data: bytes, header: Header, flags: int) -> NDArray[Any]:
    stored = np.frombuffer(data, np.uint8, header.end)
    if header.patches:
        stored = stored.copy()
        for place, patch in header.patches:
            stored[place : place + len(patch)] = np.frombuffer(patch, np.uint8)
    try:
        pixels = cv2.imdecode(stored, flags)
    except cv2.error as error:
        raise _refused(header) from error
    if pixels is None:
        raise _refused(header)
    return pixels


def _refused(header: Header) -> BadPicture:
    return BadPicture(
        "compressed",
        f"the decoder refuses it: it is damaged or an unusual kind of {header.kind}, expected a "
        f"whole and ordinary {header.kind}",
    )
