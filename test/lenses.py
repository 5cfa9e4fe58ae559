"""Lenses of every model, as wide as such lenses are, for the tests of cameras and rigs."""

from __future__ import annotations

from mtpano_model.geometry.cameras import Camera

SIZE = (1440, 1472)
CENTER = (731.3, 722.8)


def _wide(model: str, focal: float, shape: tuple = (), distortion: tuple = (), fov: float = 200):
    return Camera(model, SIZE, (focal, 1.004 * focal), CENTER, shape, distortion, fov)


# 200 degrees where the model can; about 700 pixels from the centre to the rim.
FISHEYES = {
    "equidistant": _wide("equidistant", 405.0, (), (0.012, -0.006, 0.003, -0.0007)),
    "eucm": _wide("eucm", 395.0, (0.62, 1.1)),
    "ds": _wide("ds", 320.0, (-0.22, 0.59)),
    "omni": _wide("omni", 900.0, (1.45,), (-0.05, 0.02, 0.0008, -0.0005)),
}
NARROW = {
    "pinhole": _wide("pinhole", 560.0, (), (-0.12, 0.02, 0.0007, -0.0009), 90),
    "rational": _wide("pinhole", 560.0, (), (0.3, 0.1, 7e-4, -9e-4, 0.02, 0.35, 0.15, 0.04), 95),
    "undistorted": _wide("pinhole", 560.0, (), (), 100),
}
LENSES = FISHEYES | NARROW
