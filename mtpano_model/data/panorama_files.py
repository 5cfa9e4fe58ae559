"""What readers of labelled data sets share: finding complete frames, reading, decoding."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE, class_lookup, load_class_set
from mtpano_model.clouds.files import packed_rgb
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.files import read_picture, read_stored
from mtpano_model.pictures.resize import resize_image, resize_nearest
from mtpano_model.pictures.shape import is_panoramic
from mtpano_model.pictures.size import Size, size_text
from mtpano_model.stored_files import open_regular

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameFiles:
    """Where one panorama and its labels lie; those are None that the data set has none of."""

    name: str
    image: Path
    depth: Path
    normals: Path | None = None
    semseg: Path | None = None
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


def read_rgb(path: Path, size: Size | None) -> NDArray[np.uint8]:
    """Picture as RGB uint8 [H, W, 3] at `size` (H, W), None keeps its own; MtpanoError."""
    image = read_picture(path).rgb
    return image if size is None else resize_image(image, size)


def read_label(path: Path, size: Size | None, channels: int) -> NDArray[Any]:
    """A label picture as stored, [H, W] or RGB [H, W, 3], nearest pixel where `size` differs.

    A palette PNG gives its indices. MtpanoError where the number of channels is another.
    """
    label = read_stored(path)
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
    return label if size is None else resize_nearest(np.ascontiguousarray(label), size)


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
    codes = packed_rgb(palette)
    table[codes[::-1]] = np.arange(len(codes), dtype=np.uint8)[::-1]
    return table[packed_rgb(rgb)]


def read_array(
    source: Path | bytes, dimensions: int, size: Size | None, name: str = ""
) -> NDArray[np.float32]:
    """A .npy file's array as float32, the nearest pixel at `size`; MtpanoError, nothing unpickled.

    name: of bytes, for the message.
    """
    what = name or str(source)
    try:
        if isinstance(source, Path):
            with open_regular(source) as file:
                source = file.read()
        array = np.load(io.BytesIO(source), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        # numpy takes anything else for a pickle, and tells how to load it unsafely.
        why = "it is no .npy file" if "pickle" in str(error) else error
        raise MtpanoError(f"{what} cannot be read ({why}): copy it again") from error
    array = np.asarray(array).squeeze()
    if array.ndim != dimensions or not np.issubdtype(array.dtype, np.number):
        raise MtpanoError(
            f"{what} holds {array.dtype} of shape {array.shape}: expected numbers in "
            f"{dimensions} dimensions"
        )
    array = np.ascontiguousarray(array, np.float32)
    if size is None or array.shape[:2] == size:
        return array.copy()
    return resize_nearest(array, size)


def no_normals(size: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Normals that are not known anywhere."""
    return np.zeros((*size[:2], 3), np.float32), np.zeros(size[:2], bool)


# --- decoding ------------------------------------------------------------------------------------


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
        sizes = ", ".join(map(size_text, sorted(shapes)))
        raise MtpanoError(f"frame {name} has pictures of sizes {sizes}: expected one size")
    if not is_panoramic(depth.shape):
        raise MtpanoError(
            f"frame {name} is {size_text(depth.shape)} pixels: expected an equirectangular "
            "panorama, twice as wide as high"
        )
    return Sample(
        name=name,
        image=planes(image),
        depth=torch.from_numpy(depth.astype(np.float32))[None],
        depth_valid=torch.from_numpy(depth > 0)[None],
        normals=planes(normals[0]),
        normals_valid=torch.from_numpy(normals[1])[None],
        semseg=torch.from_numpy(np.ascontiguousarray(semseg)),
    )


def planes(array: NDArray[Any]) -> torch.Tensor:
    """[H, W, 3] -> contiguous [3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
