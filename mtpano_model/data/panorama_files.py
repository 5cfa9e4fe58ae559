"""What readers of labelled data sets share: finding complete frames, reading, resizing, decoding.

Files are checked for their end mark before they are decoded, because OpenCV fills the missing part
of a half-written picture with grey and says nothing.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE, class_lookup, load_class_set
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError

logger = logging.getLogger(__name__)

Size = tuple[int, int]
_NO_NORMAL = 128  # in all three channels: no surface
_END_MARKS = {b"\x89PNG": b"IEND", b"\xff\xd8": b"\xff\xd9"}  # by how a file begins


@dataclass(frozen=True)
class FrameFiles:
    """Where one panorama and its labels lie; pose only where the data set needs it."""

    name: str
    image: Path
    depth: Path
    normals: Path
    semseg: Path
    pose: Path | None = None

    def missing(self) -> list[Path]:
        """Files of this frame that do not exist."""
        paths = [getattr(self, f.name) for f in fields(self) if f.name != "name"]
        return [path for path in paths if path is not None and not path.is_file()]


def complete_frames(
    frames: Iterable[FrameFiles], root: Path, what: str
) -> tuple[list[FrameFiles], list[str]]:
    """Frames that have all their files, and the names of those that do not (logged, counted).

    MtpanoError where no complete frame is left; `what` is the layout that was expected.
    """
    complete, skipped = [], []
    example = None
    for frame in frames:
        missing = frame.missing()
        if missing:
            skipped.append(frame.name)
            example = example or missing[0]
        else:
            complete.append(frame)
    if skipped:
        logger.warning("%s: %d frames skipped, first: no %s", root, len(skipped), example)
    if not complete:
        reason = f"{len(skipped)} incomplete ones, the first lacks {example}; " if skipped else ""
        raise MtpanoError(f"{root} holds no complete frame: {reason}expected {what}")
    return complete, skipped


# --- reading -------------------------------------------------------------------------------------


def read_picture(path: Path, flags: int) -> NDArray[Any]:
    """cv2.imread that refuses files without their end mark; MtpanoError names the file."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0, 2)
            file.seek(max(file.tell() - 64, 0))
            tail = file.read()
    except OSError as error:
        raise MtpanoError(f"{path} cannot be opened: {error.strerror}, copy it again") from error
    marks = [mark for begin, mark in _END_MARKS.items() if head.startswith(begin)]
    whole = head and all(mark in tail for mark in marks)
    picture = None
    with suppress(cv2.error):  # of a header that promises more than 2^30 pixels
        picture = cv2.imread(str(path), flags) if whole else None
    if picture is None:
        raise MtpanoError(f"{path} cannot be decoded: it is damaged or half-written, copy it again")
    return picture


def read_rgb(path: Path, size: Size | None) -> NDArray[np.uint8]:
    """Picture as RGB uint8 [H, W, 3], area-averaged where it shrinks to `size` (H, W)."""
    image = resize_rgb(read_picture(path, cv2.IMREAD_COLOR), size)
    return np.ascontiguousarray(image[..., ::-1])


def read_label(path: Path, size: Size | None, channels: int) -> NDArray[Any]:
    """A label picture as stored, [H, W] or RGB [H, W, 3], nearest pixel where `size` differs.

    A palette PNG gives its indices. MtpanoError where the number of channels is another.
    """
    label = read_picture(path, cv2.IMREAD_UNCHANGED)
    if label.ndim == 3:
        label = label[..., 2::-1]  # OpenCV's BGR or BGRA -> RGB
        palette = _png_palette(path) if channels == 1 else None
        if palette is not None:
            label = _palette_indices(label, palette)
    if label.ndim != (2 if channels == 1 else 3):
        raise MtpanoError(
            f"{path} has shape {'x'.join(map(str, label.shape))}: expected {channels} channels, "
            "as the data set's own files have"
        )
    return resize_label(label, size)


def resize_rgb(image: NDArray[np.uint8], size: Size | None) -> NDArray[np.uint8]:
    """Picture [h, w, 3] at `size` (H, W): area-averaged where it shrinks, else bilinear."""
    if size is None or image.shape[:2] == size:
        return image
    method = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size[::-1], interpolation=method), np.uint8)


def resize_label(label: NDArray[Any], size: Size | None) -> NDArray[Any]:
    """Labels [h, w(, 3)] at `size` (H, W): the pixel under each new pixel's centre.

    No value is invented across an edge.
    """
    if size is None or label.shape[:2] == size:
        return label
    label = np.ascontiguousarray(label)
    return cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _png_palette(path: Path) -> NDArray[np.uint8] | None:
    """RGB palette [N, 3] of a PNG, None where it has none."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"PLTE":
                return np.frombuffer(file.read(length), np.uint8).reshape(-1, 3)
            if kind in (b"IDAT", b"IEND"):
                break
            file.seek(length + 4, 1)
    return None


def _palette_indices(rgb: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first palette entry of each pixel's colour: entry 0 wins where unused entries repeat."""
    table = np.zeros(1 << 24, np.uint8)
    codes = palette.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    table[codes[::-1]] = np.arange(len(codes), dtype=np.uint8)[::-1]
    return table[rgb.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)]


# --- decoding ------------------------------------------------------------------------------------


def decode_normals(
    rgb: NDArray[np.uint8], to_optical: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """value = (n + 1) * 127.5 -> unit vectors [H, W, 3] in the optical frame, validity [H, W].

    to_optical: 3x3 matrix from the stored frame. (128, 128, 128) marks invalid pixels, which
    become zero vectors.
    """
    valid = ~(rgb == _NO_NORMAL).all(-1)
    normals = rgb.astype(np.float32) / 127.5 - 1
    normals = normals @ to_optical.T.astype(np.float32)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    normals[~valid] = 0
    return normals, valid


class ClassConverter:
    """Ids of a data set's own class set -> uint8 ids of `class_set` ("indoor18" or the own one)."""

    def __init__(self, own_set: str, class_set: str):
        table = class_lookup(own_set, class_set)[: len(load_class_set(own_set))]
        self._table = np.append(table, np.uint8(IGNORE))

    def __call__(self, ids: NDArray[np.int32], path: Path) -> NDArray[np.uint8]:
        """-1 becomes IGNORE, and so do ids outside the table, with a warning that names `path`."""
        unlabelled = len(self._table) - 1
        outside = ids >= unlabelled
        if outside.any():
            logger.warning(
                "%s: %d pixels of classes outside 0..%d (up to %d) count as unlabelled",
                path,
                outside.sum(),
                unlabelled - 1,
                ids.max(),
            )
        return self._table[np.where(outside | (ids < 0), unlabelled, ids)]


def make_sample(
    name: str,
    image: NDArray[np.uint8],
    depth: NDArray[np.floating],
    normals: tuple[NDArray[np.float32], NDArray[np.bool_]],
    semseg: NDArray[np.uint8],
) -> Sample:
    """Arrays of one frame ([H, W(, 3)]; depth in metres, 0 invalid) -> Sample, sizes checked."""
    shapes = {a.shape[:2] for a in (image, depth, normals[0], semseg)}
    if len(shapes) != 1:
        sizes = ", ".join(f"{h}x{w}" for h, w in sorted(shapes))
        raise MtpanoError(f"frame {name} has pictures of sizes {sizes}: expected one size")
    height, width = depth.shape
    if width != 2 * height:
        raise MtpanoError(
            f"frame {name} is {height}x{width} pixels: expected an equirectangular panorama, "
            "twice as wide as high"
        )
    return Sample(
        name=name,
        image=_planes(image),
        depth=torch.from_numpy(depth.astype(np.float32))[None],
        depth_valid=torch.from_numpy(depth > 0)[None],
        normals=_planes(normals[0]),
        normals_valid=torch.from_numpy(normals[1])[None],
        semseg=torch.from_numpy(np.ascontiguousarray(semseg)),
    )


def _planes(array: NDArray[Any]) -> torch.Tensor:
    """[H, W, 3] -> contiguous [3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
