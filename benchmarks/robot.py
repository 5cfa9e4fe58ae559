"""What level and scale, depth's finish, the edge filter, scan and views cost, in one thread."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import SETS
from mtpano_model.geometry.sphere import OPTICAL_FROM, pitch_matrix
from mtpano_model.inference import Estimator, Frame, ValueRules
from mtpano_model.inference.answer import Answer
from mtpano_model.inference.depth_finish import NormalsFinish
from mtpano_model.robot.attitude import LEVEL
from mtpano_model.robot.correction import Correction
from mtpano_model.robot.edge_filter import DEFAULT_DEGREES, EdgeFilter
from mtpano_model.robot.scale import MetricScale
from mtpano_model.robot.scan import Scanner, ScanRules
from mtpano_model.robot.turning import Turning, level_rotation
from mtpano_model.robot.views import ViewSampler, four_views

CAMERA_METRES = 1.2
# Of a camera that pitches a little, as on a robot that drives.
TILTS_DEGREES = (8.0, 8.5, 9.0, 9.5, 10.0)


def robot_steps(
    estimator: Estimator,
    outputs: dict[str, NDArray[Any]],
    frame: Frame,
    picture: NDArray[np.uint8],
) -> dict[str, Callable[[], Any]]:
    """Step -> a function that takes it once. picture: uint8 [H, W, 3] of the frame's size."""
    scanner, tilted_scanner = (Scanner(ScanRules(), compiled=None) for _ in range(2))
    heights = cycle(CAMERA_METRES + 0.01 * np.arange(5))  # the floor is measured in every frame
    edges = EdgeFilter(DEFAULT_DEGREES, compiled=None)
    body = OPTICAL_FROM["body"].T @ level_rotation(_down(TILTS_DEGREES[0]))
    return {
        "depth corrected by the normals": finisher(estimator, outputs, frame),
        "edge filter, once for cloud, scan and views": lambda: _solid(edges, frame),
        "level and scale": leveller(estimator, outputs, frame, TILTS_DEGREES[:1]),
        "level and scale, a new attitude every image": leveller(
            estimator, outputs, frame, TILTS_DEGREES
        ),
        "scan": lambda: scanner(frame.depth, None, next(heights)),
        "scan of a tilted camera": lambda: tilted_scanner(frame.depth, body, next(heights)),
        **four_view_steps(frame, picture),
    }


def finisher(
    estimator: Estimator, outputs: dict[str, NDArray[Any]], frame: Frame
) -> Callable[[], Any]:
    """Corrects depth on the network's own grid."""
    planes = _answer(estimator, outputs, frame).planes.copy()
    finish = NormalsFinish(None)
    return lambda: finish(planes[0], planes[1:])


def four_view_steps(frame: Frame, picture: NDArray[np.uint8]) -> dict[str, Callable[[], Any]]:
    """Four views with depth, and a copy of their messages, both in memory that is in no cache."""
    views = [ViewSampler(view, smooth=False, compiled=None) for view in four_views()]
    sizes = [(*sampler.view.size, 3) for sampler in views], [sampler.view.size for sampler in views]
    turn = cycle(
        (
            picture.copy(),
            frame.depth.copy(),
            [np.zeros(size, np.uint8) for size in sizes[0]],
            [np.zeros(size, np.float32) for size in sizes[1]],
        )
        for _ in range(SETS)
    )
    copies = cycle([[(a, a.copy()) for a in (*one[2], *one[3])] for one in islice(turn, SETS)])

    def sample() -> None:
        colors_of, depth_of, colors, depths = next(turn)
        source = views[0].source(colors_of)
        for sampler, color in zip(views, colors, strict=True):
            sampler.image(source, color)
        for sampler, depth in zip(views, depths, strict=True):
            sampler.depth(depth_of, depth)

    def copy() -> None:
        for target, source in next(copies):
            np.copyto(target, source)

    return {"four views of 480x480 with depth": sample, "a copy of these four views": copy}


def leveller(
    estimator: Estimator,
    outputs: dict[str, NDArray[Any]],
    frame: Frame,
    tilts: tuple[float, ...],
) -> Callable[[], None]:
    """Turns a picture of the network's size, and scales and turns an answer back."""
    answer = _answer(estimator, outputs, frame)
    planes, labels = answer.planes.copy(), answer.labels
    scratch = np.empty_like(planes)
    turning = Turning(compiled=None)
    info = estimator.info
    correction = Correction(info.classes, MetricScale(CAMERA_METRES), info.input_size, None)
    picture = np.zeros((*info.input_size, 3), np.uint8)
    downs = cycle([_down(degrees) for degrees in tilts])

    def step() -> None:
        down = next(downs)
        turning.set_down(down)
        turning.level_picture(picture)
        np.copyto(scratch, planes)  # which are scaled in place
        correction(Answer(scratch, labels), frame.size, down, 0.0)

    return step


def _solid(edges: EdgeFilter, frame: Frame) -> NDArray[np.float32]:
    """Depth as outputs.base has it filtered."""
    depth = frame.depth.copy()
    depth[edges.hanging(depth, frame.normals)] = np.nan
    return depth


def _answer(estimator: Estimator, outputs: dict[str, NDArray[Any]], frame: Frame) -> Answer:
    answers: list[Answer] = []
    rules = ValueRules(depth_finish="off")
    estimator.postprocess(outputs, frame.size, rules, adjust=lambda a, _: answers.append(a) or a)
    return answers[0]


def _down(degrees: float) -> NDArray[np.float64]:
    return pitch_matrix(np.radians(degrees)) @ LEVEL
