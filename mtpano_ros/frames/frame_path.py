"""The path of an image through the node: message -> picture -> network -> frame -> messages.

Only what a subscribed output needs is computed: the network does not run if only `camera_info` is
wanted, and depth by itself costs neither normals nor labels.
"""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.inference import Estimator, ValueRules
from mtpano_model.inference.frame import FIELDS
from mtpano_model.pictures.output_size import resolve_output_size
from mtpano_model.pictures.picture import BadPicture
from mtpano_model.pictures.size import Size
from mtpano_ros.camera.shot import Panorama, Shot
from mtpano_ros.frames.corrector import Corrector
from mtpano_ros.frames.pipeline import Pipeline
from mtpano_ros.frames.pole_rows import combined
from mtpano_ros.mounting.mounting import Mounting, Pose
from mtpano_ros.mounting.ros_time import seconds_of
from mtpano_ros.outputs.base import COLORS, CONFIDENCE, Result
from mtpano_ros.outputs.memory import FrameMemory
from mtpano_ros.outputs.publishers import Plan, Publishers
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.watch.diagnostics import Statistics
from mtpano_ros.watch.telling import Teller


@dataclass
class Job:
    """One image under way, with the parameters and the plan of the moment when it came.

    transport: milliseconds from its stamp to its arrival. seen: [h, w] of the network's size, true
    where the camera sees anything; None: everywhere.
    """

    shot: Shot
    transport: float
    parameters: Parameters
    plan: Plan
    pose: Pose
    arrived: float = field(default_factory=time.monotonic)
    milliseconds: dict[str, float] = field(default_factory=dict)
    panorama: Panorama | None = None
    batch: NDArray[np.uint8] | None = None
    seen: NDArray[np.bool_] | None = None
    outputs: dict[str, NDArray[Any]] | None = None

    @property
    def fields(self) -> frozenset[str]:
        """The arrays of the frame that are needed; without any the network does not run."""
        return self.plan.needs & (FIELDS | {CONFIDENCE})


class FramePath:
    """The stages of one active node, each in its thread, from `offer` to the publishers.

    failures_in_a_row: number of images for which the network has raised since its last success.
    """

    def __init__(
        self,
        estimator: Estimator,
        publishers: Publishers,
        mounting: Mounting,
        statistics: Statistics,
        tell: Teller,
    ) -> None:
        self._estimator, self._publishers = estimator, publishers
        self._statistics, self._tell = statistics, tell
        self._mounting = mounting
        self._corrector = Corrector(mounting, estimator.info)
        self._memory = FrameMemory(estimator.info)
        self._rules_for: tuple[Parameters, Size] | None = None
        self._rules = ValueRules()
        self._noted: set[str] = set()
        self._inference_began: float | None = None
        self.failures_in_a_row = 0
        # One being prepared, one waiting, one in the network.
        self._batches: queue.SimpleQueue[NDArray[np.uint8]] = queue.SimpleQueue()
        for _ in range(3):
            self._batches.put(np.empty((1, *estimator.info.input_size, 3), np.uint8))
        self._pipeline = Pipeline(
            self._prepare, self._infer, self._finish, self._dropped, self._failed
        )

    def offer(self, shot: Shot, transport: float, parameters: Parameters, plan: Plan) -> None:
        """Take a shot that came `transport` ms after its stamp."""
        header = shot.header
        # Without a stamp an image is of now.
        stamp = seconds_of(header.stamp) or self._mounting.now()
        outputs = parameters.outputs
        pose = Pose(stamp, outputs.frame_id or header.frame_id, outputs.frame_convention)
        self._pipeline.offer(Job(shot, transport, parameters, plan, pose))

    def stop(self, timeout: float) -> bool:
        """End after the images under way; False if one does not end within `timeout` seconds.

        May be called again, to see whether it has ended meanwhile.
        """
        return self._pipeline.stop(timeout)

    @property
    def inference_seconds(self) -> float:
        """How long the image in the network has been there, 0 if none is."""
        began = self._inference_began
        return 0.0 if began is None else time.monotonic() - began

    # --- the stages, each in its own thread -----------------------------------------------------

    def _prepare(self, job: Job) -> None:
        began = time.monotonic()
        self._mount(job)
        lenient = job.parameters.allow_non_2to1
        job.panorama = job.shot.open(lenient, lambda size: self._needed_size(job, size))
        self._note(job.panorama)
        if job.fields:
            job.batch = self._batches.get()
            picture = job.batch[0]
            job.seen = job.panorama.fill(picture)
            if job.panorama.order == "bgr":
                # After the resize there are fewer pixels to turn round.
                cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=picture)
            self._corrector.level(picture, job.pose, job.seen)
        job.milliseconds["preprocess"] = _since(began)

    def _infer(self, job: Job) -> None:
        if job.batch is None:
            return
        began = self._inference_began = time.monotonic()
        try:
            job.outputs = self._estimator.infer(job.batch)
        finally:
            self._inference_began = None
        self.failures_in_a_row = 0
        self._release(job)
        job.milliseconds["inference"] = _since(began)

    def _finish(self, job: Job) -> None:
        assert job.panorama is not None
        size = self._output_size(job, job.panorama.size)
        frame = self._memory.frame(size)
        if job.outputs is not None:
            began = time.monotonic()
            rules = replace(self._value_rules(job.parameters, size), seen=job.seen)
            pose = job.pose
            pose.height = self._mounting.camera_height(job.parameters, pose.stamp, pose.frame)
            adjust = self._corrector.adjustment(pose, job.plan.needs)
            self._estimator.postprocess(job.outputs, size, rules, frame, job.fields, adjust)
            if frame.non_finite:
                self._statistics.count("non_finite")
                self._tell.warn(
                    "non_finite",
                    f"the network gave {frame.non_finite} values that are NaN or infinite, "
                    "expected none: those pixels are NaN and unlabelled",
                )
            job.milliseconds["postprocess"] = _since(began)
        began = time.monotonic()
        header = Header(stamp=job.shot.header.stamp, frame_id=job.pose.frame)
        result = Result(
            header, frame, job.panorama, job.parameters, self._memory, job.pose, self._mounting
        )
        self._publishers.send(result, job.plan)
        job.milliseconds["publish"] = _since(began)
        self._record(job, size)

    # --- what may happen to an image instead ----------------------------------------------------

    def _dropped(self, job: Job) -> None:
        self._release(job)
        self._statistics.count("dropped")

    def _failed(self, job: Job, stage: str, error: Exception) -> None:
        self._release(job)
        if isinstance(error, BadPicture):
            self._statistics.count(f"skipped_{error.reason}")
            self._tell.warn(error.reason, f"skipped an image: {error}")
            return
        reason = "inference" if stage == "infer" else "internal"
        if stage == "infer":
            self.failures_in_a_row += 1
        lines = str(error).strip().splitlines() or ["no message"]
        self._statistics.count(f"skipped_{reason}")
        self._tell.error(
            reason,
            f"skipped an image: the stage '{stage}' raised {type(error).__name__}: {lines[-1]}",
        )

    # --- helpers --------------------------------------------------------------------------------

    def _release(self, job: Job) -> None:
        batch, job.batch = job.batch, None
        if batch is not None:
            self._batches.put(batch)

    def _output_size(self, job: Job, image_size: Size) -> Size:
        setting = job.parameters.outputs.size
        return resolve_output_size(setting, image_size, self._estimator.info.input_size)

    def _needed_size(self, job: Job, image_size: Size) -> Size:
        """How large a picture has to be decoded: as the network's, and as the cloud's colours."""
        height, width = self._estimator.info.input_size if job.fields else (1, 1)
        if COLORS in job.plan.needs:
            rows, columns = self._output_size(job, image_size)
            height, width = max(height, rows), max(width, columns)
        return min(height, image_size[0]), min(width, image_size[1])

    def _mount(self, job: Job) -> None:
        """Say where the image's frame lies, if it is one of ours and outputs are in it."""
        mount, parameters = job.shot.mount, job.parameters
        if mount is not None and not parameters.outputs.frame_id:
            header = job.shot.header
            turn = mount.turn @ OPTICAL_FROM[parameters.outputs.frame_convention]
            self._mounting.transforms.publish(
                mount.parent, header.frame_id, turn, header.stamp, offset=mount.offset
            )

    def _note(self, panorama: Panorama) -> None:
        self._statistics.camera.notes = panorama.notes
        for note in panorama.notes:
            if note.kind not in self._noted:
                self._noted.add(note.kind)
                self._tell.warn(f"note_{note.kind}", f"an image is used, but {note.text}")

    def _value_rules(self, parameters: Parameters, size: Size) -> ValueRules:
        known = self._rules_for
        # Equal parameters may have another mask: the picture behind one name may change.
        if known is None or known[0] is not parameters or known[1] != size:
            mask = parameters.mask
            hidden = combined(size, mask.picture, mask.zenith_degrees, mask.nadir_degrees)
            self._rules = ValueRules(
                parameters.min_range,
                parameters.max_range or float("inf"),
                hidden,
                parameters.depth_finish,
            )
            self._rules_for = parameters, size
        return self._rules

    def _record(self, job: Job, size: Size) -> None:
        under_way = _since(job.arrived)
        spent = sum(job.milliseconds.values())
        self._statistics.processed(
            {
                **job.milliseconds,
                "transport": job.transport,
                "wait": under_way - spent,
                "end_to_end": job.transport + under_way,
            },
            size,
        )


def _since(moment: float) -> float:
    return (time.monotonic() - moment) * 1e3
