"""Lenses: pinhole, equidistant (Kannala-Brandt), EUCM, double sphere and omni (Mei), in numpy."""

from mtpano_model.geometry.cameras.camera import Camera
from mtpano_model.geometry.cameras.names import camera_from_kalibr, camera_from_ros

__all__ = ["Camera", "camera_from_kalibr", "camera_from_ros"]
