"""Preview pictures of merged labels, for a person to judge."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.data.pseudo_encoding import PseudoLabels
from mtpano_model.drawing import canvas
from mtpano_model.drawing.canvas import Rgb
from mtpano_model.drawing.panels import panel
from mtpano_model.geometry.perspective import camera_rays, rotate
from mtpano_model.geometry.sphere import project
from mtpano_model.inference.frame import Frame
from mtpano_model.labels.sampling import views_of

_GAP = 16
_OUTLINE_PIXELS = 64  # along each side of a patch


def preview(labels: PseudoLabels, classes: ClassSet, title: str, width: int = 1600) -> Rgb:
    """Panel of the merged labels; below it the directions of the patches, and the confidence."""
    sheet = panel(labels.image, as_frame(labels), classes, title, width=width)
    column = (width - 3 * _GAP) // 2
    size = (column, column // 2)
    blocks = [
        ("Directions of the patches", outlines(labels.image, labels.views)),
        ("Confidence of the classes (white: certain)", _grey(labels.confidence)),
    ]
    foot = canvas.paper(canvas.LINE + size[1] + _GAP, width)
    for number, (name, picture) in enumerate(blocks):
        left = _GAP + number * (column + _GAP)
        canvas.put_text(foot, name, left, 4, 20)
        foot[canvas.LINE : canvas.LINE + size[1], left : left + column] = cv2.resize(
            picture, size, interpolation=cv2.INTER_AREA
        )
    return np.concatenate([sheet, foot])


def as_frame(labels: PseudoLabels) -> Frame:
    """Merged labels in the form of a prediction: unknown is NaN."""
    known = labels.normals.any(-1, keepdims=True)
    return Frame(
        depth=np.where(labels.depth > 0, labels.depth, np.nan).astype(np.float32),
        normals=np.where(known, labels.normals, np.nan).astype(np.float32),
        labels=labels.classes,
    )


def outlines(image: NDArray[np.uint8], views: NDArray[np.float64]) -> Rgb:
    """The panorama with the border of every patch drawn in, one colour each."""
    picture = image.copy()
    if not len(views):
        return picture
    height, width = picture.shape[:2]
    cameras = views_of(views, _OUTLINE_PIXELS)
    rays = rotate(camera_rays(cameras), cameras.rotation).movedim(1, -1).numpy()
    colors = cv2.applyColorMap(
        np.linspace(0, 255, len(views)).astype(np.uint8)[:, None], cv2.COLORMAP_HSV
    )
    for square, color in zip(rays, colors[:, 0].tolist(), strict=True):
        border = np.concatenate([square[0], square[:, -1], square[-1, ::-1], square[::-1, 0]])
        x, y = project(border, height, width)
        points = np.stack([x, y], -1).astype(np.int32)
        # A line that jumps over the seam is left out.
        for start, end in zip(points, np.roll(points, -1, 0), strict=True):
            if abs(int(start[0]) - int(end[0])) < width // 2:
                cv2.line(picture, start.tolist(), end.tolist(), color[::-1], max(1, height // 256))
    return picture


def _grey(values: NDArray[np.float32]) -> Rgb:
    grey = (values * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)
