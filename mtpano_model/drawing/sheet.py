"""A contact sheet: the panels of many panoramas, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.clouds.cloud import cloud_from_frame
from mtpano_model.drawing import canvas
from mtpano_model.drawing.canvas import Rgb
from mtpano_model.drawing.colors import colorize_depth, colorize_labels
from mtpano_model.drawing.panels import depth_limit, fit, legend, view
from mtpano_model.inference.frame import Frame
from mtpano_model.pictures.files import write_picture
from mtpano_model.pictures.normals import encode_normals

_TITLES = ("Panorama", "Depth", "Normals", "Semantics", "Cloud", "from the other side")
_GAP = 6
_HEAD = 24
PAGE_ROWS = 100  # a JPEG ends at 65,500 rows of pixels, some 400 of ours


class SheetPages:
    """Contact sheets of PAGE_ROWS pictures each, written into `folder` as they fill.

    total: the largest number of pictures. It decides the names: sheet.jpg for one page, or else
    sheet_01.jpg and so on.
    """

    def __init__(self, folder: Path, classes: ClassSet, total: int):
        self._folder, self._classes = folder, classes
        self._single = total <= PAGE_ROWS
        self._written = 0
        self._rows: list[Rgb] = []
        self._labels: list[NDArray[np.integer]] = []

    def add(self, rgb: NDArray[np.uint8], frame: Frame) -> None:
        """Add a picture, uint8 [h, w, 3]; OSError if a page is full and cannot be written."""
        self._rows.append(sheet_row(rgb, frame, self._classes))
        self._labels.append(frame.labels)
        if len(self._rows) == PAGE_ROWS:
            self.finish_page()

    def finish_page(self) -> None:
        """Write the page that is being filled, if there is anything on it."""
        if not self._rows:
            return
        self._written += 1
        name = "sheet.jpg" if self._single else f"sheet_{self._written:02d}.jpg"
        page = contact_sheet(self._rows, self._labels, self._classes)
        write_picture(self._folder / name, page)
        self._rows, self._labels = [], []


def sheet_row(rgb: NDArray[np.uint8], frame: Frame, classes: ClassSet, width: int = 1920) -> Rgb:
    """RGB, depth, normals, semantics and two views of the cloud side by side, `width` columns.

    rgb: the input picture [h, w, 3] of any size. The end of the depth scale is written in its tile.
    Returns uint8 RGB [h, width, 3].
    """
    column = _column(width)
    size = (column // 2, column)
    limit = depth_limit(frame)
    cloud = cloud_from_frame(frame, rgb, stride=max(1, frame.size[0] // 128))
    depth = fit(colorize_depth(frame.depth, limit), size)
    canvas.put_text(depth, f"0 to {limit:g} m", 6, size[0] - 20, 15, (255, 255, 255))
    tiles = [
        fit(rgb, size),
        depth,
        fit(encode_normals(frame.normals), size),
        fit(colorize_labels(frame.labels, classes.palette), size),
        view(cloud, size, yaw=0.5),
        view(cloud, size, yaw=0.5 + np.pi),
    ]
    row = canvas.paper(size[0] + _GAP, width)
    for number, tile in enumerate(tiles):
        left = number * (column + _GAP)
        row[: size[0], left : left + column] = tile
    return row


def contact_sheet(
    rows: Sequence[Rgb], labels: Sequence[NDArray[np.integer]], classes: ClassSet
) -> Rgb:
    """Rows of `sheet_row` under their titles, and a legend of the classes in `labels` below.

    rows: uint8 RGB of one width. labels: the class ids [H, W] of each row.
    """
    width = rows[0].shape[1]
    column = _column(width)
    head = canvas.paper(_HEAD, width)
    for number, title in enumerate(_TITLES):
        canvas.put_text(head, title, number * (column + _GAP), 2, 18)
    shown = np.concatenate([ids[:: max(len(ids) // 128, 1)].ravel() for ids in labels])[None]
    foot = legend(shown, classes, width)
    page = np.concatenate([head, *rows, foot])
    return np.pad(page, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=canvas.PAPER[0])


def _column(width: int) -> int:
    """Columns of a tile in a row of `width`."""
    return (width - (len(_TITLES) - 1) * _GAP) // len(_TITLES)
