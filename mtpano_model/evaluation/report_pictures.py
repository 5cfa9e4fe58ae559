"""A frame of a report: the picture, and for each task truth, prediction and error."""

from __future__ import annotations

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE, ClassSet
from mtpano_model.drawing.canvas import Rgb, nice_limit
from mtpano_model.drawing.colors import (
    UNKNOWN_COLOR,
    colorize_depth,
    colorize_labels,
)
from mtpano_model.evaluation.charts import TILE, Tile, tiles
from mtpano_model.evaluation.slices import ABOVE_FLOOR, slice_picture
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.metrics.normals import angles_deg
from mtpano_model.pictures.normals import encode_normals

_WORST_REL, _WORST_DEG = 0.5, 45.0  # errors from here on have the last colour
_WRONG, _RIGHT = (214, 39, 40), (225, 235, 225)


def frame_sheet(
    rgb: NDArray[np.uint8],
    prediction: Maps,
    truth: Maps,
    classes: ClassSet,
    down: NDArray[np.floating] | None = None,
) -> Figure:
    """A row for each task that was predicted: truth, prediction, error; the picture above.

    down: unit vector, optical frame; with it the room is shown from above as well.
    """
    rows: list[list[Tile]] = [[("Panorama", rgb)]]
    if prediction.depth is not None and down is not None:
        cut = slice_picture(prediction.depth, truth, classes, down, TILE)
        if cut is not None:
            title = f"Cut {ABOVE_FLOOR:g} m above the floor: truth grey, prediction red"
            rows[0].append((title, cut))
    legend = {}
    if prediction.depth is not None and truth.depth is not None:
        rows.append(_depth_row(prediction.depth, truth))
    if prediction.normals is not None and truth.normals is not None:
        rows.append(_normals_row(prediction.normals, truth))
    if prediction.labels is not None and truth.labels is not None:
        rows.append(_labels_row(prediction.labels, truth.labels, classes))
        shown = np.union1d(prediction.labels, truth.labels)
        legend = {classes.names[i]: classes.palette[i] for i in shown if i < len(classes)}
    return tiles(rows, legend)


def _depth_row(depth: NDArray[np.floating], truth: Maps) -> list[Tile]:
    goal = truth.depth
    assert goal is not None
    valid = goal > 0 if truth.depth_valid is None else truth.depth_valid
    limit = nice_limit(float(np.percentile(goal[valid], 98))) if valid.any() else 10.0
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(depth - goal) / goal
    return [
        (f"True depth, 0 to {limit:g} m", _masked(colorize_depth(goal, limit), valid)),
        ("Predicted depth", colorize_depth(depth, limit)),
        (f"Error, 0 to {_WORST_REL:.0%} of the depth", _masked(_heat(error / _WORST_REL), valid)),
    ]


def _normals_row(normals: NDArray[np.floating], truth: Maps) -> list[Tile]:
    goal = truth.normals
    assert goal is not None
    valid = np.ones(goal.shape[:2], bool) if truth.normals_valid is None else truth.normals_valid
    error = angles_deg(normals, goal) / _WORST_DEG
    return [
        ("True normals", _masked(encode_normals(goal), valid)),
        ("Predicted normals", encode_normals(normals)),
        (f"Error, 0 to {_WORST_DEG:g} degrees", _masked(_heat(error), valid)),
    ]


def _labels_row(
    labels: NDArray[np.integer], truth: NDArray[np.integer], classes: ClassSet
) -> list[Tile]:
    wrong = np.where((labels != truth)[..., None], _WRONG, _RIGHT).astype(np.uint8)
    return [
        ("True classes", colorize_labels(truth, classes.palette)),
        ("Predicted classes", colorize_labels(labels, classes.palette)),
        ("Wrong", _masked(wrong, truth != IGNORE)),
    ]


def _masked(picture: Rgb, valid: NDArray[np.bool_]) -> Rgb:
    return np.where(valid[..., None], picture, np.array(UNKNOWN_COLOR, np.uint8))


def _heat(values: NDArray[np.floating]) -> Rgb:
    """0..1 -> from dark to bright; not finite counts as 1."""
    scaled = np.clip(np.nan_to_num(values, nan=1.0, posinf=1.0), 0, 1) * 255
    colored = cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(colored, np.uint8)[..., ::-1]
