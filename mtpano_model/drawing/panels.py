"""A panel: one picture of a panorama with its depth, normals, classes and cloud."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.clouds.cloud import Cloud, cloud_from_frame
from mtpano_model.drawing import canvas
from mtpano_model.drawing.canvas import Color, Rgb
from mtpano_model.drawing.cloud_view import dollhouse, render
from mtpano_model.drawing.colors import (
    DEPTH_MAX,
    colorize_depth,
    colorize_labels,
    depth_colors,
)
from mtpano_model.geometry.sphere import solid_angles
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.frame import Frame
from mtpano_model.pictures.normals import encode_normals
from mtpano_model.pictures.resize import resize_image, resize_nearest
from mtpano_model.pictures.size import size_text

__all__ = [
    "DEPTH_MAX",
    "colorize_depth",
    "colorize_labels",
    "depth_limit",
    "fit",
    "legend",
    "panel",
    "view",
]

_GAP = 16
# What a normal's colour means, told by the surfaces of a room around the camera.
_FACES = (
    ("floor", (0, -1, 0)),
    ("ceiling", (0, 1, 0)),
    ("wall ahead", (0, 0, -1)),
    ("on the right", (-1, 0, 0)),
    ("behind", (0, 0, 1)),
    ("on the left", (1, 0, 0)),
)


def panel(
    rgb: NDArray[np.uint8],
    frame: Frame,
    info: ModelInfo | ClassSet,
    title: str = "",
    max_depth: float | None = None,
    width: int = 1600,
) -> Rgb:
    """RGB, depth, normals, semantics with a legend and two views of the cloud on one sheet.

    rgb: the input picture, uint8 [h, w, 3] of any size. title: text of the top line, for example
    the file's name. max_depth: metres at the end of the depth scale; None: `depth_limit(frame)`.
    Returns uint8 RGB [H, width, 3], which is legible from a width of 800.
    """
    classes = info.classes if isinstance(info, ModelInfo) else info
    column = (width - 3 * _GAP) // 2
    size = (column // 2, column)
    limit = max_depth or depth_limit(frame)
    # More points than the view has pixels would only cost time.
    cloud = cloud_from_frame(frame, rgb, stride=max(1, frame.size[0] // 256))

    def block(name: str, picture: Rgb, foot: Rgb | None = None) -> Rgb:
        return _block(name, fit(picture, size), foot)

    faces = np.array([[normal for _, normal in _FACES]], np.float32)
    face_colors = [_color(value) for value in encode_normals(faces)[0]]
    rows = [
        _top_line(title, frame, info, 2 * column + _GAP),
        _beside(
            block("Panorama", rgb),
            block(
                "Depth along the ray",
                colorize_depth(frame.depth, limit),
                canvas.color_bar(depth_colors(), limit, "m", column),
            ),
        ),
        _beside(
            block(
                "Surface normals",
                encode_normals(frame.normals),
                canvas.swatches(
                    [(f[0], c) for f, c in zip(_FACES, face_colors, strict=True)], column
                ),
            ),
            block(
                "Semantics",
                colorize_labels(frame.labels, classes.palette),
                legend(frame.labels, classes, column),
            ),
        ),
        _beside(
            block("Point cloud", view(cloud, size, yaw=0.5)),
            block("Point cloud from the other side", view(cloud, size, yaw=0.5 + np.pi)),
        ),
    ]
    sheet = np.concatenate(rows)
    page = canvas.paper(len(sheet) + _GAP // 2 + _GAP, width)
    page[_GAP // 2 : -_GAP, _GAP : _GAP + sheet.shape[1]] = sheet
    return page


def legend(labels: NDArray[np.integer], classes: ClassSet, width: int) -> Rgb:
    """Swatch, name and share of the sphere of every class in `labels` [H, W], largest first.

    Returns uint8 RGB [h, width, 3].
    """
    areas = np.broadcast_to(solid_angles(*labels.shape), labels.shape)
    share = np.bincount(labels.ravel(), areas.ravel(), minlength=len(classes)) / (4 * np.pi)
    share = share[: len(classes)]
    entries = [
        (f"{classes.names[i]} {_percent(share[i])}", classes.palette[i])
        for i in np.argsort(-share, kind="stable")
        if share[i] > 0
    ]
    return canvas.swatches(entries, width)


def depth_limit(frame: Frame) -> float:
    """A round number of metres, above 99.5 % of the frame's depths, to end its depth scale."""
    finite = frame.depth[np.isfinite(frame.depth)]
    return canvas.nice_limit(float(np.percentile(finite, 99.5))) if finite.size else DEPTH_MAX


def view(cloud: Cloud, size: tuple[int, int], yaw: float) -> Rgb:
    """The cloud from outside, uint8 RGB [*size, 3]; yaw: radians, the direction of the camera."""
    return render(cloud, dollhouse(cloud, size, yaw), size)


def fit(picture: Rgb, size: tuple[int, int]) -> Rgb:
    """A picture [h, w, 3] at `size` (H, W); enlarged by nearest pixels, so labels do not mix."""
    if picture.shape[0] < size[0]:
        return resize_nearest(picture, size)
    return resize_image(picture, size)


def _block(name: str, picture: Rgb, foot: Rgb | None) -> Rgb:
    width = picture.shape[1]
    head = canvas.paper(canvas.LINE, width)
    canvas.put_text(head, name, 0, 4, 20)
    parts = [head, picture]
    if foot is not None:
        parts += [canvas.paper(6, width), foot]
    return np.concatenate(parts)


def _beside(left: Rgb, right: Rgb) -> Rgb:
    height = max(len(left), len(right)) + _GAP // 2
    sheet = canvas.paper(height, left.shape[1] + _GAP + right.shape[1])
    sheet[: len(left), : left.shape[1]] = left
    sheet[: len(right), left.shape[1] + _GAP :] = right
    return sheet


def _top_line(title: str, frame: Frame, info: ModelInfo | ClassSet, width: int) -> Rgb:
    sheet = canvas.paper(38, width)
    canvas.put_text(sheet, title, 0, 6, 26)
    facts = []
    if isinstance(info, ModelInfo):
        facts.append(f"{info.preset} {size_text(info.input_size)}")
        facts.append(f"{info.backend} {info.precision}".strip())
    if frame.milliseconds:
        facts.append(f"{sum(frame.milliseconds.values()):.0f} ms")
    text = ", ".join(facts)
    canvas.put_text(sheet, text, width - canvas.text_width(text), 12, color=canvas.FAINT)
    return sheet


def _color(value: NDArray[np.uint8]) -> Color:
    red, green, blue = (int(channel) for channel in value)
    return red, green, blue


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0095 else "<1%"
