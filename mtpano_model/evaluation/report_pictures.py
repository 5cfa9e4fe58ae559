"""Pictures of a report: what a frame looked like, was and became; and the confusion matrix."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE, ClassSet
from mtpano_model.inference import drawing
from mtpano_model.inference.colors import (
    UNKNOWN_COLOR,
    colorize_depth,
    colorize_labels,
    colorize_normals,
)
from mtpano_model.inference.drawing import Rgb
from mtpano_model.inference.pictures import legend
from mtpano_model.inference.resize import resize_image, resize_nearest
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.metrics.normals import angles_deg

_TILE = (220, 440)
_GAP = 8
_WORST_REL, _WORST_DEG = 0.5, 45.0  # errors from here on have the last colour
_WRONG, _RIGHT = (214, 39, 40), (225, 235, 225)


def frame_sheet(rgb: NDArray[np.uint8], prediction: Maps, truth: Maps, classes: ClassSet) -> Rgb:
    """A row for each task that was predicted: truth, prediction, error; the picture above."""
    rows = [_row([("Panorama", rgb, False)])]
    if prediction.depth is not None and truth.depth is not None:
        rows.append(_depth_row(prediction.depth, truth))
    if prediction.normals is not None and truth.normals is not None:
        rows.append(_normals_row(prediction.normals, truth))
    if prediction.labels is not None and truth.labels is not None:
        rows.append(_labels_row(prediction.labels, truth.labels, classes))
        width = rows[-1].shape[1]
        shown = np.concatenate([prediction.labels.ravel(), truth.labels.ravel()])[None]
        rows.append(_pad(legend(shown, classes, width - _GAP), width))
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_pad(row, width) for row in rows])


def _depth_row(depth: NDArray[np.floating], truth: Maps) -> Rgb:
    goal = truth.depth
    assert goal is not None
    valid = goal > 0 if truth.depth_valid is None else truth.depth_valid
    limit = drawing.nice_limit(float(np.percentile(goal[valid], 98))) if valid.any() else 10.0
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(depth - goal) / goal
    return _row(
        [
            (f"True depth, 0 to {limit:g} m", _masked(colorize_depth(goal, limit), valid), False),
            ("Predicted depth", colorize_depth(depth, limit), False),
            (
                f"Error, 0 to {_WORST_REL:.0%} of the depth",
                _masked(_heat(error / _WORST_REL), valid),
                False,
            ),
        ]
    )


def _normals_row(normals: NDArray[np.floating], truth: Maps) -> Rgb:
    goal = truth.normals
    assert goal is not None
    valid = np.ones(goal.shape[:2], bool) if truth.normals_valid is None else truth.normals_valid
    error = angles_deg(normals, goal) / _WORST_DEG
    return _row(
        [
            ("True normals", _masked(colorize_normals(goal), valid), False),
            ("Predicted normals", colorize_normals(normals), False),
            (f"Error, 0 to {_WORST_DEG:g} degrees", _masked(_heat(error), valid), False),
        ]
    )


def _labels_row(labels: NDArray[np.integer], truth: NDArray[np.integer], classes: ClassSet) -> Rgb:
    wrong = np.where((labels != truth)[..., None], _WRONG, _RIGHT).astype(np.uint8)
    return _row(
        [
            ("True classes", colorize_labels(truth, classes.palette), True),
            ("Predicted classes", colorize_labels(labels, classes.palette), True),
            ("Wrong", _masked(wrong, truth != IGNORE), True),
        ]
    )


def _row(tiles: list[tuple[str, Rgb, bool]]) -> Rgb:
    """Pictures of one size beside each other with a title each; the flag keeps labels sharp."""
    parts = []
    for title, picture, sharp in tiles:
        small = resize_nearest(picture, _TILE) if sharp else resize_image(picture, _TILE)
        head = drawing.paper(drawing.LINE, _TILE[1])
        drawing.put_text(head, title, 0, 6, 16)
        parts += [np.concatenate([head, small]), drawing.paper(_TILE[0] + drawing.LINE, _GAP)]
    return np.concatenate(parts, axis=1)


def _pad(picture: Rgb, width: int) -> Rgb:
    page = drawing.paper(picture.shape[0], width)
    page[:, : picture.shape[1]] = picture
    return page


def _masked(picture: Rgb, valid: NDArray[np.bool_]) -> Rgb:
    return np.where(valid[..., None], picture, np.array(UNKNOWN_COLOR, np.uint8))


def _heat(values: NDArray[np.floating]) -> Rgb:
    """0..1 -> from dark to bright; not finite counts as 1."""
    scaled = np.clip(np.nan_to_num(values, nan=1.0, posinf=1.0), 0, 1) * 255
    colored = cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(colored, np.uint8)[..., ::-1]


def confusion_picture(confusion: NDArray[np.floating], classes: ClassSet) -> Rgb:
    """Rows: true class, shares of its pixels; columns: predicted class. Classes that occur only.

    confusion: [C, C or C + 1] counts, true class by predicted class.
    """
    count = len(classes)
    shown = (confusion.sum(1) > 0) | (confusion[:, :count].sum(0) > 0)
    matrix = confusion[:, :count][shown][:, shown]
    total = confusion.sum(1)[shown]
    share = matrix / np.maximum(total, 1)[:, None]
    names = [name for name, flag in zip(classes.names, shown, strict=True) if flag]

    cell = 44 if len(names) <= 24 else 26
    text = 15 if cell == 44 else 11
    margin = max(drawing.text_width(name, 16) for name in names) + 16
    side = len(names) * cell
    page = drawing.paper(margin + side + 10, margin + side + 10)
    for i, name in enumerate(names):
        middle = margin + i * cell + cell // 2
        drawing.put_text(page, name, margin - 8 - drawing.text_width(name, 16), middle - 8, 16)
        label = drawing.paper(cell, margin)
        drawing.put_text(label, name, 8, cell // 2 - 8, 16)
        left = margin + i * cell
        page[:margin, left : left + cell] = np.rot90(label)
        for j in range(len(names)):
            _cell(page, share[i, j], margin + j * cell, margin + i * cell, cell, text, i == j)
    return page


def _cell(page: Rgb, share: float, x: int, y: int, size: int, text: int, on_diagonal: bool) -> None:
    """One cell: the darker the larger, green where right and red where wrong."""
    strength = float(np.sqrt(share))
    full = np.array((24, 120, 70) if on_diagonal else (190, 40, 40), np.float64)
    color = np.array(drawing.PAPER) * (1 - strength) + full * strength
    page[y + 1 : y + size, x + 1 : x + size] = color.round().astype(np.uint8)
    if share >= 0.005:
        ink = drawing.PAPER if strength > 0.6 else drawing.INK
        word = f"{100 * share:.0f}"
        left = x + (size - drawing.text_width(word, text)) // 2
        drawing.put_text(page, word, left, y + (size - text) // 2, text, ink)
