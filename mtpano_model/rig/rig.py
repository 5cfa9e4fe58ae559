"""A rig: its lenses, their poses, and how their pictures arrive."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras import Camera
from mtpano_model.pictures.size import Size, size_text
from mtpano_model.rig.values import is_rotation

Floats = NDArray[np.float64]
MOST_LENSES = 6
WHOLE = (0.0, 0.0, 1.0, 1.0)
_SAME_SHAPE = 0.02  # a mask may be a pixel or two smaller than what it covers
_LARGEST_PARALLAX = 2.0  # degrees: about three columns of the network's picture


@dataclass(frozen=True, eq=False)
class Lens:
    """One lens of a rig.

    camera: its calibration; None until its CameraInfo has arrived. rotation: [3, 3],
    v_panorama = rotation @ v_lens, both optical frames. position: metres from the panorama's
    centre, in the panorama's optical frame. topic: the topic of its picture. tile: (top, left,
    height, width) of its part of that picture, as fractions of the whole. turn: degrees (0, 90, 180
    or 270) by which the part must be turned clockwise to give the picture of the calibration. mask:
    bool [h, w] in the picture of the calibration, true where the lens sees the robot itself.
    field_of_view: degrees, for a calibration by CameraInfo, which has none.
    """

    name: str
    camera: Camera | None
    rotation: Floats
    position: Floats
    topic: str = ""
    tile: tuple[float, float, float, float] = WHOLE
    turn: int = 0
    mask: NDArray[np.bool_] | None = None
    field_of_view: float | None = None

    def __post_init__(self) -> None:
        if self.turn not in (0, 90, 180, 270):
            raise MtpanoError(
                f"lens '{self.name}' has turn {self.turn!r}, expected 0, 90, 180 or 270"
            )
        top, left, height, width = self.tile
        fits = min(top, left) >= 0 and top + height <= 1 + 1e-9 and left + width <= 1 + 1e-9
        if not fits or min(height, width) <= 0:
            raise MtpanoError(
                f"lens '{self.name}' has tile {list(self.tile)}, expected top, left, height and "
                "width as fractions of the picture, 0 to 1"
            )
        if self.position.shape != (3,) or not np.isfinite(self.position).all():
            raise MtpanoError(
                f"lens '{self.name}' has position {self.position.tolist()}, expected 3 metres"
            )
        if not is_rotation(self.rotation):
            raise MtpanoError(
                f"the rotation of lens '{self.name}' is not a rotation: expected an orthonormal "
                "matrix with determinant 1"
            )

        if self.camera is not None and self.mask is not None:
            _check_mask(self.name, self.mask.shape, self.camera.size)

    def part(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """This lens's part of a picture [H, W, 3], as a view."""
        height, width = picture.shape[:2]
        top, left, tall, wide = self.tile
        rows = slice(round(top * height), round((top + tall) * height))
        return picture[rows, round(left * width) : round((left + wide) * width)]


def _check_mask(name: str, mask: tuple[int, ...], size: Size) -> None:
    height, width = mask
    if not abs(height * size[1] - width * size[0]) <= _SAME_SHAPE * height * size[1]:
        raise MtpanoError(
            f"the mask of lens '{name}' is {height}x{width} but its calibration is "
            f"{size_text(size)}, which is another shape: draw it on this lens's own part of the "
            "picture, turned as for the calibration"
        )


@dataclass(frozen=True, eq=False)
class Rig:
    """Lenses, and how their pictures are joined.

    distance: metres at which the lenses' pictures are aligned; infinity if the lenses are
    practically in one place. feather: degrees over which one lens's picture fades into the next.
    nearest: metres to the nearest expected surface. wait: seconds to wait for the pictures of the
    other lenses; tolerance: seconds that the stamps of one moment may lie apart. body_frame: the
    robot's frame (x ahead, y left, z up) for lenses whose poses come from TF; the panorama looks
    along its x axis.
    """

    lenses: tuple[Lens, ...]
    distance: float = math.inf
    feather: float = 3.0
    nearest: float = 1.0
    wait: float = 0.1
    tolerance: float = 0.02
    body_frame: str = "base_link"

    def __post_init__(self) -> None:
        if not 1 <= len(self.lenses) <= MOST_LENSES:
            raise MtpanoError(f"the rig has {len(self.lenses)} lenses, expected 1 to {MOST_LENSES}")
        names = [lens.name for lens in self.lenses]
        if len(set(names)) < len(names):
            raise MtpanoError(f"the rig's lenses are named {names}, expected different names")
        places = [(lens.topic, lens.tile) for lens in self.lenses]
        if len(set(places)) < len(places):
            raise MtpanoError(
                f"two of the rig's lenses ({', '.join(names)}) have the same topic and tile: give "
                "each its own"
            )
        for name in ("distance", "feather", "nearest", "wait", "tolerance"):
            value = getattr(self, name)
            if not value > 0:
                raise MtpanoError(f"the rig's {name} is {value}, expected more than 0")
            if name != "distance" and not math.isfinite(value):
                raise MtpanoError(f"the rig's {name} is {value}, expected a finite number")

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic once, in the order of the lenses."""
        return tuple(dict.fromkeys(lens.topic for lens in self.lenses))

    @property
    def uncalibrated(self) -> tuple[str, ...]:
        """Names of the lenses that wait for their CameraInfo."""
        return tuple(lens.name for lens in self.lenses if lens.camera is None)

    @property
    def baseline(self) -> float:
        """Metres between the two lenses that are farthest apart."""
        places = [lens.position for lens in self.lenses]
        return max((float(np.linalg.norm(a - b)) for a, b in combinations(places, 2)), default=0.0)

    @property
    def panorama_size(self) -> Size:
        """(H, W), even, at which the calibrated lens with the lowest resolution loses no detail."""
        cameras = [lens.camera for lens in self.lenses if lens.camera is not None]
        least = min(camera.pixels_per_radian for camera in cameras)
        rows = max(2, round(math.pi * least) // 2 * 2)
        return rows, 2 * rows

    def with_lens(self, lens: Lens) -> Rig:
        """The rig with the lens of this name replaced."""
        return replace(
            self, lenses=tuple(lens if one.name == lens.name else one for one in self.lenses)
        )

    def turned(self, rotation: Floats) -> Rig:
        """The rig whose panorama is turned: v_new = rotation @ v_old for every direction."""
        return replace(
            self,
            lenses=tuple(
                replace(one, rotation=rotation @ one.rotation, position=rotation @ one.position)
                for one in self.lenses
            ),
        )

    def warnings(self) -> list[str]:
        """One sentence for each questionable setting of the rig."""
        told = []
        parallax = math.degrees(math.atan2(self.baseline, self.nearest))
        if parallax > _LARGEST_PARALLAX:
            told.append(
                f"the lenses are {self.baseline:.3f} m apart, so pictures at the seams disagree "
                f"by up to {parallax:.1f} degrees for surfaces {self.nearest:g} m away: expect "
                "wrong depth there, or set nearest to the true distance of the nearest surface"
            )
        for lens in self.lenses:
            camera = lens.camera
            if camera is not None and camera.field_of_view and camera.cone > camera.model_limit:
                told.append(
                    f"lens '{lens.name}' has a field_of_view of {camera.field_of_view:g} degrees, "
                    f"but its calibration ends at {2 * math.degrees(camera.model_limit):.1f}: the "
                    "rest stays unseen"
                )
        return told
