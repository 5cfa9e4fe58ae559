"""The status of level and scale in /diagnostics: `<node>: geometry`.

attitude            off, measured, held or level
attitude_problem    why it is not measured
camera_height_m     over the floor, as given or from TF; empty if unknown
predicted_height_m  from the network's floor, before any correction; empty without a floor
floor_share         share of floor among the pixels that look down steeply, 0 to 1
scale_factor        factor by which depth was multiplied
untransformed       outputs sent in the image's own frame for want of a transform
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus

if TYPE_CHECKING:
    from mtpano_model.robot.attitude import Attitude
    from mtpano_model.robot.scale import FloorView, Scale


@dataclass
class GeometryState:
    """The state of the last processed image; one thread writes it, another reads it."""

    attitude: Attitude | None = None
    height: float | None = None
    height_problem: str = ""
    floor: FloorView | None = None
    scale: Scale | None = None
    untransformed: int = 0
    untransformed_reason: str = ""

    def status(self) -> tuple[bytes, str, dict[str, str]]:
        """Level, message, keys and values."""
        attitude, floor, scale = self.attitude, self.floor, self.scale
        values = {
            "attitude": attitude.state if attitude else "off",
            "attitude_problem": attitude.reason if attitude else "",
            "camera_height_m": f"{self.height:.3f}" if self.height else "",
            "predicted_height_m": "",
            "floor_share": "",
            "scale_factor": "",
            "untransformed": str(self.untransformed),
        }
        if floor is not None and scale is not None:
            values["floor_share"] = f"{floor.share:.2f}"
            values["scale_factor"] = f"{scale.factor:.3f}"
            if isfinite(floor.height):
                values["predicted_height_m"] = f"{floor.height:.3f}"
        problems = [
            values["attitude_problem"],
            self.height_problem,
            scale.reason if scale and not scale.trusted else "",
            self.untransformed_reason,
        ]
        told = "; ".join(filter(None, problems))
        if told:
            return DiagnosticStatus.WARN, told, values
        return DiagnosticStatus.OK, "level and scale", values
