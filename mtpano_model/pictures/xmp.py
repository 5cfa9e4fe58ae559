"""What a panorama's XMP metadata say about it (Google's Photo Sphere XMP, namespace GPano)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mtpano_model.pictures.picture import Note
from mtpano_model.pictures.size import Size, size_text

# As an attribute or an element. A value holds none of the characters that begin another match, so
# that a hostile packet is searched in linear time.
_PROPERTY = re.compile(rb"""GPano:(\w+)\s*(?:=\s*["']([^"'<>]*)["']|>([^<>]*)</)""")
# Less is within what cameras themselves can measure.
_LEVEL_DEGREES = 1.0


@dataclass(frozen=True)
class PhotoSphere:
    """full: (H, W) of the whole sphere; crop: (top, left, height, width) of what was kept of it,
    None where nothing was cut off. pitch, roll: of the camera, degrees, not yet taken out of the
    picture. projection: in the file's own word, "" where it has none."""

    full: Size | None = None
    crop: tuple[int, int, int, int] | None = None
    pitch: float = 0.0
    roll: float = 0.0
    projection: str = ""

    @property
    def tilt(self) -> tuple[float, float]:
        """Pitch and roll where they are more than a camera can measure, else zeros."""
        is_tilted = max(abs(self.pitch), abs(self.roll)) > _LEVEL_DEGREES
        return (self.pitch, self.roll) if is_tilted else (0.0, 0.0)

    def crop_hint(self) -> str:
        """Half a sentence about a crop that does not fit its picture, "" where there is none."""
        if self.crop is None or self.full is None:
            return ""
        top, left, height, width = self.crop
        return (
            f"its metadata (GPano) say that it is rows {top} to {top + height} and columns {left} "
            f"to {left + width} of a panorama of {size_text(self.full)}, which it does not fit: "
            "pad it to 2:1 first"
        )

    def notes(self) -> tuple[Note, ...]:
        """What a person should know of it."""
        notes: list[Note] = []
        if self.projection and self.projection.lower() != "equirectangular":
            text = (
                f"its metadata (GPano) say that its projection is {self.projection!r}, expected "
                "equirectangular: export it again"
            )
            notes.append(Note("projection", text))
        if any(self.tilt):
            text = (
                f"its metadata (GPano) say that the camera was tilted by {self.pitch:g} degrees of "
                f"pitch and {self.roll:g} of roll, and the picture is read as it is: let the "
                "camera level its pictures (zenith correction), or give predict --level, which "
                "takes it out"
            )
            notes.append(Note("tilt", text))
        return tuple(notes)


def photo_sphere(xmp: bytes) -> PhotoSphere:
    """The GPano properties of an XMP packet; what is missing or no number has its default."""
    found = {name.decode(): (a or b).decode("utf-8", "replace").strip() for name, a, b in
             _PROPERTY.findall(xmp)}  # fmt: skip

    def number(name: str) -> float:
        try:
            value = float(found.get(name, "0"))
        except ValueError:
            return 0.0
        return value if abs(value) < 1e9 else 0.0  # neither NaN nor infinite

    full = int(number("FullPanoHeightPixels")), int(number("FullPanoWidthPixels"))
    kept = (
        int(number("CroppedAreaTopPixels")),
        int(number("CroppedAreaLeftPixels")),
        int(number("CroppedAreaImageHeightPixels")),
        int(number("CroppedAreaImageWidthPixels")),
    )
    is_cropped = min(full) > 0 and (kept[2:] != full if min(kept[2:]) > 0 else any(kept[:2]))
    return PhotoSphere(
        full if min(full) > 0 else None,
        kept if is_cropped else None,
        number("PosePitchDegrees"),
        number("PoseRollDegrees"),
        found.get("ProjectionType", "")[:40],
    )
