"""The way of an image through the node: message -> picture -> network -> frame -> messages."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from mtpano_model.inference import Estimator, ValueRules
from mtpano_model.inference.masks import load_mask
from mtpano_model.inference.output_size import resolve_output_size
from mtpano_ros.compressed_input import read_compressed
from mtpano_ros.diagnostics import Statistics
from mtpano_ros.image_input import BadImage, Panorama, read_image
from mtpano_ros.masks import combined
from mtpano_ros.outputs import Outputs, Result
from mtpano_ros.parameters import Parameters
from mtpano_ros.pipeline import Pipeline
from mtpano_ros.telling import Teller

Size = tuple[int, int]


@dataclass
class Job:
    """One image under way. transport: milliseconds from its stamp to its arrival."""

    message: Any
    transport: float
    arrived: float = field(default_factory=time.monotonic)
    milliseconds: dict[str, float] = field(default_factory=dict)
    panorama: Panorama | None = None
    batch: NDArray[np.uint8] | None = None
    outputs: dict[str, NDArray[Any]] | None = None


class FramePath:
    """The stages of one active node, each in its thread, from `offer` to the publishers.

    parameters: gives those of the moment; a change holds from the next image on.
    failures_in_a_row: images for which the network has raised since it last did not.
    """

    def __init__(
        self,
        estimator: Estimator,
        outputs: Outputs,
        statistics: Statistics,
        parameters: Callable[[], Parameters],
        tell: Teller,
    ) -> None:
        self._estimator, self._outputs = estimator, outputs
        self._statistics, self._parameters, self._tell = statistics, parameters, tell
        self._rules_for: tuple[Parameters, Size] | None = None
        self._rules = ValueRules()
        self._inference_began: float | None = None
        self.failures_in_a_row = 0
        # One being prepared, one waiting, one in the network.
        self._batches: queue.SimpleQueue[NDArray[np.uint8]] = queue.SimpleQueue()
        for _ in range(3):
            self._batches.put(np.empty((1, *estimator.info.input_size, 3), np.uint8))
        self._pipeline = Pipeline(
            self._prepare, self._infer, self._finish, self._dropped, self._failed
        )

    def offer(self, message: Any, transport: float) -> None:
        """Take an Image or CompressedImage that came `transport` ms after its stamp."""
        self._pipeline.offer(Job(message, transport))

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
        parameters = self._parameters()
        if hasattr(job.message, "format"):
            job.panorama = read_compressed(
                job.message, parameters.allow_non_2to1, self._needed_size
            )
        else:
            job.panorama = read_image(job.message, parameters.allow_non_2to1)
        job.batch = self._batches.get()
        self._estimator.preprocess(job.panorama.pixels, job.batch)
        if job.panorama.order == "bgr":
            # After the resize there are fewer pixels to turn round.
            cv2.cvtColor(job.batch[0], cv2.COLOR_BGR2RGB, dst=job.batch[0])
        job.milliseconds["preprocess"] = _since(began)

    def _infer(self, job: Job) -> None:
        assert job.batch is not None
        began = self._inference_began = time.monotonic()
        try:
            job.outputs = self._estimator.infer(job.batch)
        finally:
            self._inference_began = None
        self.failures_in_a_row = 0
        self._release(job)
        job.milliseconds["inference"] = _since(began)

    def _finish(self, job: Job) -> None:
        began = time.monotonic()
        assert job.panorama is not None
        assert job.outputs is not None
        parameters = self._parameters()
        size = self._output_size(job.panorama.size)
        frame = self._outputs.frame(size)
        self._estimator.postprocess(job.outputs, size, self._value_rules(parameters, size), frame)
        if frame.non_finite:
            self._statistics.count("non_finite")
            self._tell.warn(
                "non_finite",
                f"the network gave {frame.non_finite} values that are NaN or infinite, expected "
                "none: those pixels are NaN and unlabelled",
            )
        job.milliseconds["postprocess"] = _since(began)
        began = time.monotonic()
        header = job.message.header
        if parameters.frame_id:
            header = Header(stamp=header.stamp, frame_id=parameters.frame_id)
        self._outputs.send(Result(header, frame, job.panorama, parameters))
        job.milliseconds["publish"] = _since(began)
        self._record(job, size)

    # --- what may happen to an image instead ----------------------------------------------------

    def _dropped(self, job: Job) -> None:
        self._release(job)
        self._statistics.count("dropped")

    def _failed(self, job: Job, stage: str, error: Exception) -> None:
        self._release(job)
        if isinstance(error, BadImage):
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
            f"skipped an image: to {stage} it raised {type(error).__name__}: {lines[-1]}",
        )

    # --- helpers --------------------------------------------------------------------------------

    def _release(self, job: Job) -> None:
        batch, job.batch = job.batch, None
        if batch is not None:
            self._batches.put(batch)

    def _output_size(self, image_size: Size) -> Size:
        setting = self._parameters().output_size
        return resolve_output_size(setting, image_size, self._estimator.info.input_size)

    def _needed_size(self, image_size: Size) -> Size:
        """How large a picture has to be decoded: as the network's, and as the cloud's colours."""
        height, width = self._estimator.info.input_size
        if self._outputs.wants_colors():
            rows, columns = self._output_size(image_size)
            height, width = max(height, rows), max(width, columns)
        return min(height, image_size[0]), min(width, image_size[1])

    def _value_rules(self, parameters: Parameters, size: Size) -> ValueRules:
        if self._rules_for != (parameters, size):
            body = load_mask(parameters.body_mask) if parameters.body_mask else None
            hidden = combined(
                size, body, parameters.mask_zenith_degrees, parameters.mask_nadir_degrees
            )
            self._rules = ValueRules(
                parameters.min_range, parameters.max_range or float("inf"), hidden
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
