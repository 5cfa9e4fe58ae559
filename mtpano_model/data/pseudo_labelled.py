"""A label store as a data set: merged classes and normals, depth merged or of one random patch.

A teacher's depth scale drifts from patch to patch, so the paper (arXiv 2602.05330, section 3)
supervises depth with one random patch a step; the merged map serves the first steps and every
evaluation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtpano_model.classes import IGNORE, class_lookup
from mtpano_model.data.panorama_files import planes
from mtpano_model.data.pseudo_encoding import (
    decode_classes,
    decode_confidence,
    decode_depth,
    decode_normals,
    decode_rgb,
    read_views,
)
from mtpano_model.data.sample import Sample
from mtpano_model.data.store import Store
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views, to_canvas
from mtpano_model.pictures.picture import BadPicture
from mtpano_model.pictures.resize import resize_image

_MERGED = ("jpg", "classes", "confidence", "normals", "depth_confidence")


class PseudoLabelled:
    """Panoramas of a label store as `Sample`s.

    size: (H, W) to bring them to: RGB by area, labels by the nearest pixel; None keeps the
        store's. class_set: the store's own, or "indoor18" where that can be made of it.
    names: only these panoramas, in this order; None takes all. MtpanoError names a missing one.

    `dataset[i]` has the merged depth; `dataset.draw(i, rng)` one random patch of it instead.
    """

    def __init__(
        self,
        root: str | Path,
        size: tuple[int, int] | None = None,
        class_set: str | None = None,
        names: list[str] | None = None,
    ):
        self.store = Store(root)
        self.size = size or self.store.size
        self.class_set = class_set or self.store.class_set
        self._classes = class_lookup(self.store.class_set, self.class_set)
        places = {name: index for index, name in enumerate(self.store.names)}
        self.names = self.store.names if names is None else names
        missing = [name for name in self.names if name not in places]
        if missing:
            raise MtpanoError(f"store '{root}' has no panorama '{missing[0]}': see its index files")
        if not self.names:
            raise MtpanoError(f"store '{root}' holds no panorama: label some with `mtpano label`")
        self._places = [places[name] for name in self.names]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Everything merged."""
        return self._sample(index, "depth")

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """Depth of one random patch, in the scale its teacher saw it; the rest merged.

        The merged depth where the panorama has no depth patch (whole-panorama teachers).
        """
        kinds = self.store.kinds(self._places[index])
        patches = [kind for kind in kinds if kind.startswith("patch")]
        kind = patches[rng.integers(len(patches))] if patches else "depth"
        return self._sample(index, kind)

    def _sample(self, index: int, depth_kind: str) -> Sample:
        members = self.store.read(self._places[index], (*_MERGED, "json", depth_kind))
        try:
            return self._decode(self.names[index], members, depth_kind)
        except (BadPicture, ValueError, LookupError, TypeError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            raise MtpanoError(
                f"panorama '{self.names[index]}' of store '{self.store.root}' is damaged "
                f"({reason}): copy the store again"
            ) from error

    def _decode(self, name: str, members: dict[str, bytes], depth_kind: str) -> Sample:
        height, width = self.size
        image = resize_image(decode_rgb(members["jpg"]), self.size)
        classes = np.full(self.size, IGNORE, np.uint8)
        confidence = np.zeros(self.size, np.float32)
        if "classes" in members:
            classes = self._classes[decode_classes(members["classes"], self.size)]
            confidence = decode_confidence(members["confidence"], self.size)
        normals = np.zeros((height, width, 3), np.float32)
        if "normals" in members:
            normals = decode_normals(members["normals"], self.size)
        depth = self._depth(members, depth_kind)
        if "depth_confidence" in members:  # 0: the teachers contradict each other
            sure = decode_confidence(members["depth_confidence"], self.size) > 0
            depth = depth * torch.from_numpy(sure)[None]
        vectors = planes(normals)
        return Sample(
            name=name,
            image=planes(image),
            depth=depth,
            depth_valid=depth > 0,
            normals=vectors,
            normals_valid=(vectors != 0).any(0, keepdim=True),
            semseg=torch.from_numpy(classes),
            confidence=torch.from_numpy(confidence)[None],
        )

    def _depth(self, members: dict[str, bytes], kind: str) -> Tensor:
        """[1, H, W] metres along the ray, 0 where invalid."""
        if kind not in members:
            return torch.zeros(1, *self.size)
        if kind == "depth":
            return torch.from_numpy(decode_depth(members[kind], self.size))[None]
        depth = torch.from_numpy(decode_depth(members[kind]))
        yaw, pitch, hfov = np.radians(read_views(members)[int(kind.removeprefix("patch"))])
        view = Views.look([yaw], [pitch], [hfov], (depth.shape[0], depth.shape[1]))
        return to_canvas(depth[None, None], view, self.size, "nearest")[0][0]
