"""Compiles the loops that frames will need ahead, which takes seconds once on a machine."""

from __future__ import annotations

from mtpano_model.inference.depth_finish import NormalsFinish
from mtpano_model.robot.edge_filter import EdgeFilter
from mtpano_model.robot.turning import Turning
from mtpano_ros.parameters.table import Parameters


def load_loops(parameters: Parameters) -> None:
    """Load, or compile, what the engine and the outputs have not loaded when they were made.

    Else the first image would wait for it. What a parameter asks for later is loaded then.
    """
    if parameters.level != "off":
        Turning(compiled=None)
    if parameters.edge_filter:
        EdgeFilter(parameters.edge_filter, compiled=None)
    if parameters.depth_finish != "off":
        NormalsFinish(compiled=None)
