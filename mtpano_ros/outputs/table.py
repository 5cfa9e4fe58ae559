"""The list of all outputs of the node."""

from __future__ import annotations

from mtpano_ros.outputs.base import Output
from mtpano_ros.outputs.camera_info import SphereInfo
from mtpano_ros.outputs.colored import ColoredDepth, ColoredNormals, ColoredSemantic
from mtpano_ros.outputs.confidence import Confidence
from mtpano_ros.outputs.grids import RangeGrid, SemanticPoints
from mtpano_ros.outputs.images import DepthImage, NormalsImage, SemanticImage
from mtpano_ros.outputs.label_info import ClassNames
from mtpano_ros.outputs.points import Points
from mtpano_ros.outputs.scan import LaserScans
from mtpano_ros.outputs.views import Views

# In the order in which their messages are sent.
OUTPUTS: tuple[type[Output], ...] = (
    ClassNames,
    SphereInfo,
    DepthImage,
    NormalsImage,
    SemanticImage,
    Confidence,
    LaserScans,
    Views,
    Points,
    SemanticPoints,
    RangeGrid,
    ColoredDepth,
    ColoredNormals,
    ColoredSemantic,
)
# Every topic with one message an image, by name.
IMAGE_TOPICS = {
    topic.name: topic for output in OUTPUTS for topic in output.topics if not topic.latched
}
