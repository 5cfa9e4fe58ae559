"""ROS 2 as this process would find it, without importing it (its wheels start Python anew)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from mtpano_model.doctor.finding import Finding, fix, note, ok
from mtpano_ros.doctor.built_for import CHANGE_PYTHON, OWN_PYTHON, built_for

# Message packages that the node needs; others it does without.
NEEDED = ("sensor_msgs", "diagnostic_msgs", "lifecycle_msgs")
OPTIONAL = {
    "vision_msgs": "class names on label_info",
    "ffmpeg_image_transport_msgs": "video as FFMPEGPacket",
    "foxglove_msgs": "video as CompressedVideo",
}


def rmw(environment: Mapping[str, str] = os.environ) -> str:
    """The middleware in force."""
    return environment.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp"


def check(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Distribution, rclpy's origin, middleware, messages."""
    distribution = environment.get("ROS_DISTRO")
    origin = _origin("rclpy")
    if origin is None and distribution:
        return [
            fix(
                f"ROS 2 {distribution} is sourced but Python {OWN_PYTHON} does not find its rclpy",
                "use the distribution's own python3, in a virtual environment made with "
                "--system-site-packages",
            )
        ]
    if origin is None:
        return [
            note(
                "no ROS 2 here: only the node needs it, source an installation or, in the "
                'checkout, pip install ".[ros]" (Kilted, x86-64)'
            )
        ]
    for name in ("rclpy", *NEEDED):
        if other := built_for(name):
            return [
                fix(
                    f"Python {OWN_PYTHON} cannot load {name}, which was built for Python {other}",
                    CHANGE_PYTHON,
                )
            ]
    embedded = "site-packages" in origin.parts
    kind = "from wheels" if embedded else distribution or "without a sourced setup file"
    findings = [ok(f"ROS 2 {kind}, rclpy in {origin.parent}")]
    if embedded and distribution:
        findings.append(
            fix(
                f"ROS 2 {distribution} is sourced but rclpy comes from wheels",
                "pip uninstall the ros-* packages, or start from a shell without ROS",
            )
        )
    chosen = "chosen" if environment.get("RMW_IMPLEMENTATION") else "the default"
    findings.append(ok(f"middleware {rmw(environment)} ({chosen})"))
    return [*findings, *_messages()]


def _messages() -> list[Finding]:
    missing = [name for name in NEEDED if _origin(name) is None]
    findings = []
    if missing:
        packages = " ".join(f"ros-$ROS_DISTRO-{name.replace('_', '-')}" for name in missing)
        findings.append(
            fix(f"the node cannot import {', '.join(missing)}", f"apt install {packages}")
        )
    else:
        findings.append(ok(f"messages: {', '.join(NEEDED)}"))
    absent = [f"{name} ({use})" for name, use in OPTIONAL.items() if _origin(name) is None]
    if absent:
        findings.append(note(f"done without: {', '.join(absent)}"))
    return findings


def _origin(module: str) -> Path | None:
    spec = find_spec(module)
    return Path(spec.origin) if spec is not None and spec.origin else None
