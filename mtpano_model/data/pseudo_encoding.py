"""Encodes the pseudo-labels of a panorama as compressed files for the store, and decodes them.

What is kept, at canvas size H x W, and what precision it costs:

    jpg         RGB, JPEG quality 95 (75 where all is noise)
    classes     uint8 PNG, 255 unlabelled: exact
    confidence  uint8 PNG in 16 steps: to 1/30
    normals     8 bits a component PNG, (128, 128, 128) invalid: to 0.3 degrees
    depth       uint16 PNG, millimetres along the ray, 0 invalid: to 0.5 mm; over 65.5 m is lost
    depth_confidence  uint8 PNG in 16 steps, where several teachers gave depth: to 1/30
    patchNN     depth of perspective patch NN in the same form, every k-th pixel of the teacher's
    json        where the patches look, and what became of them

A panorama stays below `MAX_BYTES` by keeping its patches smaller where the pictures are noisy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE
from mtpano_model.pictures import normals as unit_vectors
from mtpano_model.pictures.decode import decode_picture, decode_stored
from mtpano_model.pictures.millimetres import millimetres
from mtpano_model.pictures.resize import resize_nearest
from mtpano_model.pictures.size import Size
from mtpano_model.stored_files import parse_json

# 4 MB with tar's headers and padding.
MAX_BYTES = 3_950_000
PATCH_SIZES = (192, 160, 128, 96, 64)
_JPEG_QUALITY = 95
_LOWER_JPEG_QUALITY = 75
_CONFIDENCE_STEPS = 15
# Little is gained by higher levels; with these the writer is never what labelling waits for.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 2]
_PNG_FEW_VALUES = [
    cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
]  # fmt: skip


@dataclass
class PseudoLabels:
    """Merged labels of one panorama, H x W, optical frame, and the depth patches behind them.

    image: uint8 [H, W, 3] RGB. classes: uint8 [H, W], 255 unlabelled. confidence: float32 [H, W],
    0..1, of the class. normals: float32 [H, W, 3], 0 where invalid. depth: float32 [H, W], metres
    along the ray, 0 where invalid.
    views: [N, 3], yaw, pitch and horizontal field of view of each patch in degrees.
    patches: float32 [N, h, w], metres along the ray, 0 where invalid, in the teacher's own scale;
        [0, 1, 1] where no teacher knows depth.
    facts: JSON-able notes (patch scales, counts).
    depth_confidence: float32 [H, W], 0..1, how well several depth teachers agree; 0 where they
        contradict each other. None of one teacher.
    """

    image: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    normals: NDArray[np.float32]
    depth: NDArray[np.float32]
    patches: NDArray[np.float32]
    views: NDArray[np.float64]
    facts: dict[str, Any] = field(default_factory=dict)
    depth_confidence: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if len(self.patches) not in (0, len(self.views)):
            raise ValueError(f"{len(self.patches)} patches for {len(self.views)} views")


def encode(labels: PseudoLabels, max_bytes: int = MAX_BYTES) -> dict[str, bytes]:
    """Members by kind; kinds without any valid pixel are left out."""
    members = {"jpg": encode_rgb(labels.image)}
    if (labels.classes != IGNORE).any():
        members["classes"] = _png(labels.classes, _PNG_FEW_VALUES)
        members["confidence"] = encode_confidence(labels.confidence)
    if labels.normals.any():
        members["normals"] = encode_normals(labels.normals)
    if labels.depth.any():
        members["depth"] = encode_depth(labels.depth)
        if labels.depth_confidence is not None:
            members["depth_confidence"] = encode_confidence(labels.depth_confidence)
    facts = {"views": np.asarray(labels.views).round(4).tolist(), **labels.facts}
    members["json"] = json.dumps(facts).encode()
    members |= _encode_patches(labels.patches, max_bytes - _bytes(members))
    if _bytes(members) > max_bytes:
        members["jpg"] = encode_rgb(labels.image, _LOWER_JPEG_QUALITY)
    return members


def _bytes(members: Mapping[str, bytes]) -> int:
    return sum(map(len, members.values()))


def _encode_patches(patches: NDArray[np.float32], spare: int) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for size in PATCH_SIZES:
        smaller = (_every_kth(patch, size) for patch in patches)
        members = {f"patch{n:02d}": encode_depth(p) for n, p in enumerate(smaller) if p.any()}
        if _bytes(members) <= spare:
            break
    return members


def _every_kth(patch: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The value at the centre of each pixel of a `width` columns wide grid over the patch."""
    height, full = patch.shape
    if full <= width:
        return patch
    return resize_nearest(patch, (round(height * width / full), width))


# --- single pictures -----------------------------------------------------------------------------


def encode_rgb(image: NDArray[np.uint8], quality: int = _JPEG_QUALITY) -> bytes:
    """JPEG of RGB uint8 [H, W, 3]."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode_rgb(data: bytes) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3]; like all decoders below, BadPicture if the data are damaged."""
    return decode_picture(data).rgb


def encode_depth(depth: NDArray[np.float32]) -> bytes:
    """Metres [H, W] -> PNG of 16-bit millimetres; what does not fit becomes 0, invalid."""
    return _png(millimetres(depth), _PNG)


def decode_depth(data: bytes, size: Size | None = None) -> NDArray[np.float32]:
    """Metres [H, W]; like all decoders of labels, by the nearest pixel at another `size` (H, W)."""
    return _label(data, size) / np.float32(1000)


def encode_normals(normals: NDArray[np.float32]) -> bytes:
    """PNG of unit vectors [H, W, 3] with 8 bits per component; 0 is invalid."""
    return _png(unit_vectors.encode_normals(normals)[..., ::-1], _PNG)


def decode_normals(data: bytes, size: Size | None = None) -> NDArray[np.float32]:
    """Unit vectors [H, W, 3], 0 where invalid."""
    return unit_vectors.decode_normals(_label(data, size)[..., ::-1])[0]


def decode_classes(data: bytes, size: Size | None = None) -> NDArray[np.uint8]:
    """Class ids [H, W]."""
    return _label(data, size)


def encode_confidence(confidence: NDArray[np.float32]) -> bytes:
    """PNG of confidence [H, W], 0..1, in 16 steps."""
    steps = (confidence * _CONFIDENCE_STEPS + 0.5).astype(np.uint8)
    return _png(steps * (255 // _CONFIDENCE_STEPS), _PNG_FEW_VALUES)


def decode_confidence(data: bytes, size: Size | None = None) -> NDArray[np.float32]:
    """Confidence [H, W], 0..1."""
    return _label(data, size) / np.float32(255)


def decode(members: Mapping[str, bytes], size: Size) -> PseudoLabels:
    """Inverse of `encode`, up to the losses above; `size` (H, W) for kinds that are left out."""
    facts = json.loads(members["json"])
    del facts["views"]
    views = read_views(members)
    patches = {k: decode_depth(v) for k, v in members.items() if k.startswith("patch")}
    decoded = np.zeros((0, 1, 1), np.float32)
    if patches:
        empty = np.zeros_like(next(iter(patches.values())))
        decoded = np.stack([patches.get(f"patch{n:02d}", empty) for n in range(len(views))])

    def read(kind, decoder, missing):
        return decoder(members[kind]) if members.get(kind) else missing

    return PseudoLabels(
        image=decode_rgb(members["jpg"]),
        classes=read("classes", decode_classes, np.full(size, IGNORE, np.uint8)),
        confidence=read("confidence", decode_confidence, np.zeros(size, np.float32)),
        normals=read("normals", decode_normals, np.zeros((*size, 3), np.float32)),
        depth=read("depth", decode_depth, np.zeros(size, np.float32)),
        patches=decoded,
        views=views,
        facts=facts,
        depth_confidence=read("depth_confidence", decode_confidence, None),
    )


def read_views(members: Mapping[str, bytes]) -> NDArray[np.float64]:
    """Yaw, pitch and horizontal field of view of the patches in degrees, [N, 3]."""
    return np.array(parse_json(members["json"])["views"], np.float64).reshape(-1, 3)


def _png(picture: NDArray[Any], options: list[int]) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(picture), options)[1].tobytes()


def _label(data: bytes, size: Size | None) -> NDArray[Any]:
    """A label picture as stored, reduced before anything is computed from it."""
    picture = decode_stored(data)
    return picture if size is None else resize_nearest(picture, size)
