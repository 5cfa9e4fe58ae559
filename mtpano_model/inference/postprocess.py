"""Network outputs -> a `Frame` of the size asked for, with the rules for special values.

The frame is computed either with numpy and OpenCV, or with loops that numba compiles if it is
installed and asked for (postprocess_kernel.py says what that gains). Both give the same frame.
What a GPU tail has finished at the frame's size is only copied (postprocess_finished.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.graph.contract import output_name, task_planes
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.answer import Adjust, Answer
from mtpano_model.inference.compiled import compiled_loops
from mtpano_model.inference.depth_finish_grid import GridFinish, on_grid
from mtpano_model.inference.frame import FIELDS, Frame
from mtpano_model.inference.postprocess_finished import copy_finished
from mtpano_model.inference.postprocess_labels import argmax_labels, border_labels
from mtpano_model.inference.postprocess_plain import PlainFill
from mtpano_model.inference.postprocess_rules import ValueRules, finite_or_nan
from mtpano_model.inference.taps import find_taps
from mtpano_model.pictures.resize import resize_linear, resize_nearest
from mtpano_model.tasks import DEPTH, NORMALS, SEMSEG, Task

Outputs = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]
_KERNEL = "mtpano_model.inference.postprocess_kernel"
_FINISHED_KERNEL = "mtpano_model.inference.postprocess_finished_kernel"
_LABELS_KERNEL = "mtpano_model.inference.postprocess_labels_kernel"


class Postprocessor:
    """Turns outputs of one model into frames; keeps its scratch memory, so one call at a time.

    compiled: use numba's loops; None: if numba is there. Its import takes half a second; the
    loops are compiled once on a machine, which takes some seconds.
    """

    def __init__(self, info: ModelInfo, compiled: bool | None = False) -> None:
        self._info = info
        self._kernel: ModuleType | None = None
        self._labels_kernel: ModuleType | None = None
        self._finished_kernel: ModuleType | None = None
        if compiled is not False and info.unlabelled == 255:  # ids of 16 bits are too rare for it
            self._kernel = compiled_loops(_KERNEL, required=bool(compiled))
            self._labels_kernel = compiled_loops(_LABELS_KERNEL, required=bool(compiled))
            if info.tail == "gpu":
                self._finished_kernel = compiled_loops(_FINISHED_KERNEL, required=bool(compiled))
        self._is_open = np.zeros(info.unlabelled + 1, bool)
        self._is_open[: len(info.classes)] = info.classes.open
        self._any_open = any(info.classes.open)
        self._plain = PlainFill()
        self._finish = GridFinish(info.input_size, compiled)

    def __call__(
        self,
        outputs: Outputs,
        size: tuple[int, int],
        rules: ValueRules | None = None,
        out: Frame | None = None,
        wanted: Collection[str] = FIELDS,
        adjust: Adjust | None = None,
    ) -> Frame:
        """Engine outputs -> Frame at `size` (H, W), written into `out` if given.

        The frame never shares memory with `outputs`. Each is interpolated bilinearly across the
        seam: depth; normals, unit length again; class logits, whose greatest then is the label.
        NaN and infinities of the network become NaN (labels: unlabelled).

        wanted: names of the frame's arrays to fill. The others are left as they are, except for
        those that a wanted one depends on: normals on depth, both on labels where a class is open.
        adjust: corrects the answer before it is brought to `size` and the rules are applied. It
        gets all of depth, normals, labels and the optional values, whatever is wanted; optional
        directions are not filled then, and labels that it has moved are the nearest pixel's.
        """
        frame = out if out is not None else Frame.empty(size, len(self._info.classes))
        if frame.size != size:
            raise ValueError(f"the frame to fill is {frame.size}, expected {size}")
        rules = rules or ValueRules()
        surface = "depth" in wanted or "normals" in wanted
        labelled = "labels" in wanted or (surface and self._any_open)
        frame.non_finite = 0
        unseen = rules.unseen_at(size)
        hidden = rules.hidden_at(size, unseen) if surface else None
        if adjust is not None:
            answer, low = self._adjusted(adjust, outputs, wanted, frame, rules)
            if labelled and low is not None:
                self._spread_labels(self._array_of(outputs, SEMSEG), low, frame)
            elif labelled:
                labels = answer.labels.astype(frame.labels.dtype, copy=False)
                resize_nearest(labels, frame.size, frame.labels)
            if surface:
                vectors = answer.planes[1:] if "normals" in wanted else None
                self._fill_planes(answer.planes[:1], vectors, rules, hidden, frame)
        else:
            if labelled:
                frame.non_finite += self._fill_labels(outputs, frame)
            if surface:
                normals = "normals" in wanted
                frame.non_finite += self._fill_surface(outputs, rules, hidden, frame, normals)
            for task in self._info.tasks:
                if task.optional and task.finished_name in wanted:
                    frame.non_finite += self._fill_extra(task, outputs, frame)
        if unseen is not None:
            frame.labels[unseen] = self._info.unlabelled
        return frame

    def _array_of(self, outputs: Outputs, task: Task) -> NDArray[Any]:
        tail = self._info.tail
        return task_planes(task, tail, outputs[output_name(task, tail)])

    def _adjusted(
        self,
        adjust: Adjust,
        outputs: Outputs,
        wanted: Collection[str],
        frame: Frame,
        rules: ValueRules,
    ) -> tuple[Answer, NDArray[Any] | None]:
        """The corrected answer on depth's grid or another, and the network's own ids on theirs.

        None where the answer has other labels. Its maps are in the frame then.
        """
        depth, bad = finite_or_nan(self._array_of(outputs, DEPTH))
        vectors, bad_vectors = finite_or_nan(self._array_of(outputs, NORMALS))
        array = self._array_of(outputs, SEMSEG)
        labels, bad_labels = self._ids(array)
        low = labels
        frame.non_finite = bad + bad_vectors + bad_labels
        raw = None
        if rules.depth_finish == "normals":
            depth, (raw,), vectors = self._finish(depth, vectors)
        grid = depth.shape[1:]
        maps = {}
        for task in self._info.tasks:
            if task.optional and task.kind == "value" and task.finished_name in wanted:
                (values,), bad = finite_or_nan(self._array_of(outputs, task))
                maps[task.finished_name] = resize_linear(values, grid)
                frame.non_finite += bad
        logits = array if self._info.tail == "cpu" else None
        if labels.shape != grid:
            labels = resize_nearest(labels, grid)
            logits = None if logits is None else on_grid(logits, grid)
        planes = np.concatenate([depth, on_grid(vectors, grid)])
        answer = adjust(Answer(planes, labels, logits, maps, raw), frame.size)
        for name, values in answer.maps.items():
            resize_linear(values, frame.size, _extra(frame, name, frame.size))
        return answer, low if answer.labels is labels else None

    # --- labels -----------------------------------------------------------------------------------

    def _fill_labels(self, outputs: Outputs, frame: Frame) -> int:
        array = self._array_of(outputs, SEMSEG)
        low, bad = self._ids(array)
        self._spread_labels(array, low, frame)
        return bad

    def _spread_labels(self, array: NDArray[Any], low: NDArray[Any], frame: Frame) -> None:
        """The ids `low` [h, w] at the frame's size; borders by the logits, where there are any."""
        resize_nearest(low.astype(frame.labels.dtype, copy=False), frame.size, frame.labels)
        if self._info.tail == "cpu" and low.shape != frame.size:
            unlabelled = self._info.unlabelled
            if self._labels_kernel is None:
                border_labels(array, low, unlabelled, frame.labels)
            else:
                logits = np.ascontiguousarray(array, np.float32)
                taps = find_taps(low.shape, frame.size)
                self._labels_kernel.border_labels(logits, low, *taps, unlabelled, frame.labels)

    def _ids(self, array: NDArray[Any]) -> tuple[NDArray[Any], int]:
        """Ids [h, w] of logits, or of the ids that a GPU tail gives; how many were no numbers."""
        if self._info.tail == "gpu":
            return array, 0
        if self._labels_kernel is None:
            return argmax_labels(array, self._info.unlabelled)
        classes, height, width = array.shape
        labels = np.empty(height * width, np.uint8)
        flat = np.ascontiguousarray(array, np.float32).reshape(classes, -1)
        bad = self._labels_kernel.argmax(flat, self._info.unlabelled, labels)
        return labels.reshape(height, width), bad

    # --- depth and normals ------------------------------------------------------------------------

    def _fill_surface(
        self,
        outputs: Outputs,
        rules: ValueRules,
        mask: NDArray[np.bool_] | None,
        frame: Frame,
        normals: bool,
    ) -> int:
        """Fill depth, and normals if asked for; how many values were not finite."""
        depth = self._array_of(outputs, DEPTH)
        if rules.depth_finish == "normals":
            depth, bad = finite_or_nan(depth)
            vectors, bad_vectors = finite_or_nan(self._array_of(outputs, NORMALS))
            finished = self._finish(depth, vectors).depth
            self._fill_planes(finished, vectors if normals else None, rules, mask, frame)
            return bad + bad_vectors
        directions = self._array_of(outputs, NORMALS) if normals else None
        if self._info.tail == "gpu" and depth.shape[1:] == frame.size:
            return copy_finished(
                depth[0],
                None if directions is None else directions.transpose(1, 2, 0),
                self._is_open if self._any_open else None,
                (rules.min_range, rules.max_range),
                mask,
                frame,
                self._finished_kernel,
            )
        return self._fill_planes(depth, directions, rules, mask, frame)

    def _fill_planes(
        self,
        depth: Floats,
        vectors: Floats | None,
        rules: ValueRules,
        mask: NDArray[np.bool_] | None,
        frame: Frame,
    ) -> int:
        """Fill depth, and normals where vectors are given; how many values were not finite."""
        if self._kernel is not None:
            return self._fill_compiled(self._kernel, depth, vectors, rules, mask, frame)
        depth, bad = finite_or_nan(depth)
        if vectors is not None:
            vectors, bad_vectors = finite_or_nan(vectors)
            bad += bad_vectors
        is_open = self._is_open if self._any_open else None
        self._plain.fill(depth[0], vectors, rules, mask, is_open, frame)
        return bad

    def _fill_extra(self, task: Task, outputs: Outputs, frame: Frame) -> int:
        """Resize an optional task into `frame.extras`; how many values were not finite."""
        planes, bad = finite_or_nan(self._array_of(outputs, task))
        shape = (*frame.size, len(planes)) if task.kind == "direction" else frame.size
        array = _extra(frame, task.finished_name, shape)
        if task.kind == "direction":
            self._plain.unit_normals(planes, array)
        else:
            resize_linear(planes[0], frame.size, array)
        return bad

    def _fill_compiled(
        self,
        kernel: ModuleType,
        depth: Floats,
        vectors: Floats | None,
        rules: ValueRules,
        mask: NDArray[np.bool_] | None,
        frame: Frame,
    ) -> int:
        # What has no rows is not filled, or not looked at.
        normals = frame.normals if vectors is not None else frame.normals[:0]
        depth = np.ascontiguousarray(depth, np.float32)
        vectors = depth if vectors is None else np.ascontiguousarray(vectors, np.float32)
        bad: int = kernel.fill(
            depth,
            *find_taps(depth.shape[1:], frame.size),
            vectors,
            *find_taps(vectors.shape[1:], frame.size),
            np.float32(rules.min_range),
            np.float32(rules.max_range),
            frame.labels if self._any_open else frame.labels[:0],
            self._is_open if self._any_open else self._is_open[:0],
            np.empty((0, 0), np.uint8) if mask is None else mask.view(np.uint8),
            frame.depth,
            normals,
        )
        return bad


def _extra(frame: Frame, name: str, shape: tuple[int, ...]) -> Floats:
    """The frame's optional array of this name, made where it is absent or of another shape."""
    array = frame.extras.get(name)
    if array is None or array.shape != shape:
        array = frame.extras[name] = np.empty(shape, np.float32)
    return array
