"""A rig as YAML that `read_rig` reads back, and templates for known drivers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.size import size_text
from mtpano_model.rig.rig import WHOLE, Rig

_TEMPLATES = Path(__file__).with_name("templates")


def rig_yaml(rig: Rig) -> str:
    """The YAML of a rig, without masks, since they are files of their own."""
    content: dict[str, Any] = {}
    for name in ("distance", "feather", "nearest", "wait", "tolerance"):
        value = getattr(rig, name)
        if math.isfinite(value):
            content[name] = value
    if rig.uncalibrated:
        content["body_frame"] = rig.body_frame
    lenses: dict[str, Any] = {}
    for lens in rig.lenses:
        said: dict[str, Any] = {"topic": lens.topic}
        if lens.tile != WHOLE:
            said["tile"] = list(lens.tile)
        if lens.turn:
            said["turn"] = lens.turn
        camera = lens.camera
        if camera is None:
            said["calibration"] = "camera_info"
        else:
            said["model"] = camera.model
            said["size"] = size_text(camera.size)
            said["intrinsics"] = [*camera.shape, *camera.focal, *camera.center]
            if camera.distortion:
                said["distortion"] = list(camera.distortion)
        field = lens.field_of_view if camera is None else camera.field_of_view
        if field is not None:
            said["field_of_view"] = field
        said["rotation"] = [[float(v) for v in row] for row in lens.rotation]
        said["position"] = [float(v) for v in lens.position]
        lenses[lens.name] = said
    content["lenses"] = lenses
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None)


def template_names() -> tuple[str, ...]:
    """Names of the drivers that have a template."""
    return tuple(sorted(path.stem for path in _TEMPLATES.glob("*.yaml")))


def template(name: str) -> str:
    """The commented YAML for a driver; MtpanoError for an unknown one."""
    if name not in template_names():
        raise MtpanoError(
            f"unknown template '{name}': expected one of {', '.join(template_names())}"
        )
    return (_TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")
