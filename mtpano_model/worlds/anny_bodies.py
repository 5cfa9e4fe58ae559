"""Bodies of any age and build from PyPI's anny, posed. Only this file needs anny, and torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.worlds.anny_poses import SIDES, Pose

VERSION = "0.6.2"
# Age in years -> shortest and tallest that we take, metres: near the 3rd percentile of girls and
# the 97th of boys in WHO's growth charts, wider for grown-ups. anny itself makes a few of 2.2 m.
_HEIGHTS = ((2, 0.80, 0.94), (5, 1.00, 1.19), (10, 1.25, 1.50), (15, 1.50, 1.83), (18, 1.50, 1.98))
_LIMBS = {  # a limb's bone -> the joint at its end
    "upperarm": ("upperarm01", "lowerarm01"),
    "lowerarm": ("lowerarm01", "wrist"),
    "upperleg": ("upperleg01", "lowerleg01"),
    "lowerleg": ("lowerleg01", "foot"),
}
_HIDDEN = ["mouth_cavity", "tongue"]


@dataclass(frozen=True)
class Body:
    """One person's surface: n corners, m triangles; metres, z up, front along -y, feet at z = 0.

    rest: [n, 3] standing upright with the arms held out, where clothes are measured; posed:
    [n, 3]; part: [n] head, neck, torso, arm, hand, leg or foot; share: [n] how far along the part
    (arm: shoulder 0 to wrist 1, leg: hip 0 to ankle 1, torso: hip 0 to neck 1); eyes: [m].
    """

    rest: NDArray[np.float64]
    posed: NDArray[np.float64]
    faces: NDArray[np.int64]
    part: NDArray[np.str_]
    share: NDArray[np.float64]
    eyes: NDArray[np.bool_]


class Bodies:
    """anny's model. MtpanoError if it is not installed."""

    def __init__(self) -> None:
        try:
            import anny
            import torch
            from anny.face_segmentation import get_face_segmentation_mask
            from anny.shape_distribution import SimpleShapeDistribution
        except ImportError as error:
            raise MtpanoError(
                f"this Python has no anny ({error}): install anny=={VERSION}, or let `./run "
                "worlds` make an environment that has it"
            ) from error
        self._torch, self._distribution = torch, SimpleShapeDistribution
        self._model: Any = anny.Anny(skinning_method="lbs")
        self._labels: list[str] = list(self._model.bone_labels)
        faces = self._model.faces.numpy()
        visible = ~get_face_segmentation_mask(self._model, _HIDDEN).numpy()
        eyes = [f"eye_{where}.{side}" for where in ("front", "back") for side in SIDES]
        self._faces = faces[visible]
        self._eyes = get_face_segmentation_mask(self._model, eyes).numpy()[visible]
        strongest = self._model.vertex_bone_weights.argmax(1)
        bones = self._model.vertex_bone_indices.gather(1, strongest[:, None])[:, 0].numpy()
        self._parts = np.array([_part(label) for label in self._labels])[bones]

    def make(self, age: float, is_female: bool, pose: Pose, seed: int) -> Body:
        """A body of that age in years; build and height depend on the seed."""
        torch = self._torch
        torch.manual_seed(seed)
        low = 0.82 if is_female else 0.0
        shape = self._distribution(
            self._model, _about(torch, age, 0.01), _about(torch, low, 0.18)
        ).sample(1)[1]
        with torch.no_grad():
            plain = self._model(pose_parameters=None, phenotype_kwargs=shape)
            joints = plain["bone_poses"][0, :, :3, 3].numpy()
            turns = torch.as_tensor(self._turns(joints, pose))[None]
            posed = self._model(pose_parameters=turns, phenotype_kwargs=shape)
        rest, moved = plain["vertices"][0].numpy(), posed["vertices"][0].numpy()
        height = float(np.ptp(rest[:, 2]))
        shortest, tallest = (
            np.interp(age, [row[0] for row in _HEIGHTS], [row[k] for row in _HEIGHTS])
            for k in (1, 2)
        )
        scale = np.clip(height, shortest, tallest) / height
        floor = rest[:, 2].min()
        share = self._shares(rest, joints)
        return Body(
            (rest - (0, 0, floor)) * scale,
            (moved - (0, 0, moved[:, 2].min())) * scale,
            self._faces,
            self._parts,
            share,
            self._eyes,
        )

    def _turns(self, joints: NDArray, pose: Pose) -> NDArray[np.float64]:
        """[bones, 4, 4] of each bone against its parent, in the world's axes at rest."""
        chain = [f"spine0{k}" for k in (5, 4, 3, 2, 1)]
        neck = ["neck01", "neck02", "neck03", "head"]
        turns = np.tile(np.eye(4), (len(self._labels), 1, 1))
        world: dict[str, NDArray[np.float64]] = {}  # rotation of a bone against its own rest
        trunk = np.eye(3)
        for bone in chain:
            turns[self._labels.index(bone), :3, :3] = _rotation(np.array(pose.trunk) / len(chain))
            trunk = trunk @ turns[self._labels.index(bone), :3, :3]
        for bone in neck:
            turns[self._labels.index(bone), :3, :3] = _rotation(np.array(pose.head) / len(neck))
        for side in SIDES:
            for above, limb in (
                (None, "upperarm"),
                ("upperarm", "lowerarm"),
                (None, "upperleg"),
                ("upperleg", "lowerleg"),
            ):
                first, last = (self._labels.index(f"{bone}.{side}") for bone in _LIMBS[limb])
                parent = world[above] if above else trunk if limb == "upperarm" else np.eye(3)
                before = parent @ (joints[last] - joints[first])
                world[limb] = _between(before, _direction(side, *pose.limbs[f"{limb}.{side}"]))
                world[limb] = world[limb] @ parent
                turns[first, :3, :3] = parent.T @ world[limb]
            lifted = _rotation((pose.heels.get(side, 0.0), 0.0, 0.0))
            foot = self._labels.index(f"foot.{side}")
            turns[foot, :3, :3] = world["lowerleg"].T @ lifted
        return turns

    def _shares(self, rest: NDArray, joints: NDArray) -> NDArray[np.float64]:
        """How far along its part each corner lies."""
        share = np.zeros(len(rest))
        for side in SIDES:
            mine = rest[:, 0] > 0 if side == "L" else rest[:, 0] <= 0
            for part, first, last in (
                ("arm", "upperarm01", "wrist"),
                ("leg", "upperleg01", "foot"),
            ):
                a, b = (joints[self._labels.index(f"{bone}.{side}")] for bone in (first, last))
                chosen = mine & np.isin(self._parts, (part, "hand" if part == "arm" else "foot"))
                share[chosen] = (rest[chosen] - a) @ (b - a) / ((b - a) @ (b - a))
        hip, neck = (joints[self._labels.index(b), 2] for b in ("upperleg01.L", "neck01"))
        trunk = np.isin(self._parts, ("torso", "neck", "head"))
        share[trunk] = (rest[trunk, 2] - hip) / (neck - hip)
        return share


def _about(torch: Any, low: float, width: float) -> Any:
    low_high = torch.tensor([low, low + width], dtype=torch.float64)
    return torch.distributions.Uniform(*low_high)


def _part(bone: str) -> str:
    for part, beginnings in {
        "head": ("head", "eye"),
        "neck": ("neck",),
        "hand": ("wrist", "finger", "metacarpal"),
        "arm": ("upperarm", "lowerarm"),
        "foot": ("foot", "toe"),
        "leg": ("upperleg", "lowerleg"),
    }.items():
        if bone.startswith(beginnings):
            return part
    return "torso"


def _direction(side: str, forward: float, outward: float) -> NDArray[np.float64]:
    """Where a limb points: from straight down forward, then outward."""
    f, o = np.radians((forward, outward))
    out = 1.0 if side == "L" else -1.0
    return np.array((out * np.sin(o), -np.sin(f) * np.cos(o), -np.cos(f) * np.cos(o)))


def _rotation(degrees: Sequence[float] | NDArray) -> NDArray[np.float64]:
    """About x (forward and down), then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_x = np.array(((1, 0, 0), (0, cx, -sx), (0, sx, cx)))
    about_y = np.array(((cy, 0, sy), (0, 1, 0), (-sy, 0, cy)))
    about_z = np.array(((cz, -sz, 0), (sz, cz, 0), (0, 0, 1)))
    return about_z @ about_y @ about_x


def _between(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """The smallest rotation that turns direction a into b (Rodrigues' formula)."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v = np.cross(a, b)
    cross = np.array(((0, -v[2], v[1]), (v[2], 0, -v[0]), (-v[1], v[0], 0)))
    return np.eye(3) + cross + cross @ cross / max(1.0 + float(a @ b), 1e-9)
