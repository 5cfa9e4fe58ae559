"""Look-up maps from a panorama's pixels to the lenses' pictures, computed once per rig and size.

A lens of a camera has about five times the resolution of the network's picture. So its picture is
first halved as often as keeps the detail of one panorama pixel, and the map then interpolates in
the result. All lenses' halved pictures lie in one atlas, below one another, and the panorama is
filled from the best lens everywhere; the pixels near seams are then mixed.

Two lenses' pictures are larger than a processor's cache. So the work is cut into bands: a few rows
of the panorama are filled as soon as the bands of the pictures that they need are halved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.size import Size
from mtpano_model.rig.rig import Rig
from mtpano_model.rig.view import NOWHERE, View, view

Floats = NDArray[np.float64]
Box = tuple[slice, slice]
Maps = tuple[NDArray[Any], NDArray[Any]]  # what cv2.convertMaps gives, for cv2.remap
_ROW = 256
_BANDS = 16  # that a lens's picture is cut into; they leave out a circle's corners as well
_STRIPS = 8  # that a panorama is filled in


@dataclass(frozen=True, eq=False)
class Mix:
    """Pixels to which a further lens contributes.

    index: of the flat panorama [n]. places: fixed-point maps into the atlas [m, 256] with the rest
    of the last row empty, since OpenCV takes no map of more than 32767 rows. share: uint16 [n, 3],
    of 256, the same for all three channels. lens: [n], its number. below: [n], the number of the
    lens it is laid over.
    """

    index: NDArray[np.intp]
    places: Maps
    share: NDArray[np.uint16]
    lens: NDArray[np.int64]
    below: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Band:
    """Rows and columns of a lens's part of the picture, and their place, halved, in the atlas."""

    lens: int
    source: Box
    place: Box


@dataclass(frozen=True, eq=False)
class Strip:
    """Rows of the panorama, and the bands that they are the first to need."""

    rows: slice
    bands: tuple[Band, ...]


@dataclass(frozen=True, eq=False)
class LookUp:
    """Maps of one rig for one size of panorama.

    halvings: how often each lens's picture is halved. atlas: (H, W). best: int [H, W], number of
    the lens that shows a pixel best, -1: none. places: OpenCV's fixed-point maps into the atlas.
    strips: from top to bottom. mixes: the further lenses, the better first.
    """

    halvings: tuple[int, ...]
    atlas: Size
    best: NDArray[np.int64]
    places: Maps
    strips: tuple[Strip, ...]
    mixes: tuple[Mix, ...]

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """True where any lens looks, [H, W]."""
        return self.best >= 0

    @cached_property
    def has_unseen(self) -> bool:
        """Whether there is a pixel that no lens sees."""
        return not bool(self.seen.all())


def look_up(rig: Rig, size: Size, pictures: dict[int, Size]) -> LookUp:
    """Maps for a panorama of `size`; pictures: number of a lens -> (h, w) of its part.

    Lenses that are not in `pictures` are left out.
    """
    halvings: list[int] = []
    views: list[View | None] = []
    for number, lens in enumerate(rig.lenses):
        if number not in pictures:
            halvings.append(0)
            views.append(None)
            continue
        one = view(lens, size, pictures[number], rig.distance)
        assert lens.camera is not None
        resolution = lens.camera.pixels_per_radian * max(pictures[number]) / max(lens.camera.size)
        halvings.append(_halvings(resolution / (size[1] / (2 * math.pi))))
        views.append(_away_from_edges(one, 2 ** halvings[-1] / resolution))
    margins = np.stack([np.zeros(size) if one is None else one.margin for one in views])
    shares = _shares(margins, rig.feather)
    boxes, tops, rows, widest = [], [], 0, 1
    for number, shown in enumerate(views):
        box = _box(shown, shares[number] > 0, pictures.get(number, (0, 0)), 2 ** halvings[number])
        boxes.append(box)
        tops.append(rows)
        rows += (box[0].stop - box[0].start) >> halvings[number]
        widest = max(widest, (box[1].stop - box[1].start) >> halvings[number])
    order = np.argsort(-shares, axis=0, kind="stable")
    best = np.where(shares.max(0) > 0, order[0], -1)
    x, y = _atlas_places(views, halvings, boxes, tops, best)
    nowhere = best < 0
    x[nowhere], y[nowhere] = NOWHERE, NOWHERE
    places = _fixed(x, y)
    mixes = []
    for rank in range(1, len(rig.lenses)):
        lens = order[rank]
        share = np.take_along_axis(shares, order[: rank + 1], 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            part = share[rank] / share.sum(0)
        index = np.flatnonzero(part > 1 / 512)
        if not len(index):
            break
        x, y = _atlas_places(views, halvings, boxes, tops, lens)
        place = np.full((2, -(-len(index) // _ROW), _ROW), NOWHERE, np.float32)
        place.reshape(2, -1)[:, : len(index)] = x.flat[index], y.flat[index]
        share = np.rint(256 * part.ravel()[index]).astype(np.uint16)
        mixes.append(
            Mix(
                index,
                _fixed(*place),
                np.repeat(share[:, None], 3, 1),
                lens.ravel()[index],
                order[rank - 1].ravel()[index],
            )
        )
    bands = [
        band
        for number, shown in enumerate(views)
        if shown is not None
        for band in _bands(number, shown, shares[number], boxes[number], tops[number], halvings)
    ]
    atlas = max(rows, 1), widest
    return LookUp(tuple(halvings), atlas, best, places, _strips(bands, size[0]), tuple(mixes))


def _halvings(ratio: float) -> int:
    """How often to halve a picture that has `ratio` times the panorama's resolution.

    What is left has about twice that resolution. Half as much would blur, and twice as much would
    have aliasing and take longer.
    """
    return max(0, round(math.log2(ratio / 2)))


def _shares(margins: Floats, feather: float) -> Floats:
    """How much each lens counts, [n, H, W]: the one whose edge is farthest away, and those whose
    edge is up to `feather` degrees nearer; nothing steps where a lens's picture ends."""
    behind = margins.max(0) - margins
    return np.clip(1 - behind / feather, 0, 1) * np.clip(margins / feather, 0, 1)


def _away_from_edges(one: View, pixel: float) -> View:
    """Without the last pixel of the halved picture, which the map would read beyond."""
    return View(one.columns, one.rows, np.maximum(one.margin - math.degrees(pixel), 0.0))


def _box(one: View | None, used: NDArray[np.bool_], picture: Size, step: int) -> Box:
    """Rows and columns of a picture [h, w] that are looked at, in whole steps."""
    if one is None or not used.any():
        return slice(0, 0), slice(0, 0)
    sides = []
    for places, side in ((one.rows[used], picture[0]), (one.columns[used], picture[1])):
        first = max(0, int(places.min()) // step - 1) * step
        last = min(side // step, int(places.max()) // step + 2) * step
        sides.append(slice(first, last))
    return sides[0], sides[1]


def _bands(
    number: int, one: View, share: Floats, box: Box, top: int, halvings: list[int]
) -> Iterator[tuple[int, Band]]:
    """What is looked at of a lens's picture, band by band, with the first row that looks there."""
    (rows, columns), step = box, 2 ** halvings[number]
    first_rows = np.nonzero(share > 0)[0]
    down, across = one.rows[share > 0], one.columns[share > 0]
    tall = -(-(rows.stop - rows.start) // (_BANDS * step)) * step
    for start in range(rows.start, rows.stop, max(tall, 1)):
        stop = min(start + tall, rows.stop)
        # A place between two rows reads both.
        near = (down > start - 2 * step) & (down < stop + 2 * step)
        if not near.any():
            continue
        offset = int(across[near].min()) - columns.start
        left = columns.start + max(0, offset // step - 1) * step
        width = min(columns.stop - left, int(across[near].max()) + 2 * step - left) // step
        above, beside = top + (start - rows.start) // step, (left - columns.start) // step
        place = slice(above, above + (stop - start) // step), slice(beside, beside + width)
        source = slice(start, stop), slice(left, left + width * step)
        yield int(first_rows[near].min()), Band(number, source, place)


def _strips(bands: list[tuple[int, Band]], height: int) -> tuple[Strip, ...]:
    strips, count = [], min(_STRIPS, height)
    for number in range(count):
        rows = slice(number * height // count, (number + 1) * height // count)
        first = tuple(band for row, band in bands if rows.start <= row < rows.stop)
        strips.append(Strip(rows, first))
    return tuple(strips)


def _fixed(x: NDArray[np.float32], y: NDArray[np.float32]) -> Maps:
    """Places as OpenCV's fixed-point maps, which it reads twice as fast."""
    whole, fractions = cv2.convertMaps(x, y, cv2.CV_16SC2)
    return np.asarray(whole), np.asarray(fractions)


def _atlas_places(
    views: list[View | None],
    halvings: list[int],
    boxes: list[Box],
    tops: list[int],
    lens: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Places in the atlas where each pixel's `lens` [H, W] shows it."""
    x = np.full(lens.shape, NOWHERE, np.float32)
    y = np.full(lens.shape, NOWHERE, np.float32)
    for number, one in enumerate(views):
        if one is None:
            continue
        here = (lens == number) & (one.margin > 0)
        scale = 0.5 ** halvings[number]
        rows, columns = boxes[number]
        x[here] = (one.columns[here] - columns.start + 0.5) * scale - 0.5
        y[here] = (one.rows[here] - rows.start + 0.5) * scale - 0.5 + tops[number]
    return x, y
