"""The inputs and outputs of a model file: names, types and shapes, in one place.

Every model takes `image`: uint8 [1, H, W, 3], RGB. It has one output for each of its main tasks
(`mtpano_model.tasks` says what the values mean), finished by one of two tails:

    cpu   float32 [1, C, h, w], named after the task, at the resolution that the network predicts it
          at, which need not be the other tasks'; the C channels of "semseg" are class logits.
          `inference.postprocess` finishes them.
    gpu   at H x W or another size that the tail was made for, named after the field of
          `inference.Frame`, finished inside the graph:
          value float32 [1, H, W], direction float32 [1, H, W, 3], classes uint8 [1, H, W].

A new output of the network is a row in `tasks`: export, both tails, the engines, postprocessing
and the evaluation follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.size import Size
from mtpano_model.tasks import MAIN_TASKS, Task

Tail = Literal["cpu", "gpu"]

IMAGE = "image"
TAILS: tuple[Tail, ...] = get_args(Tail)
# In the order in which a graph lists them.
OUTPUTS = tuple(sorted(MAIN_TASKS, key=lambda task: task.name))
REQUIRED = tuple(task for task in OUTPUTS if not task.optional)


class TensorSpec(NamedTuple):
    """Name, element type ("float32", "uint8", ...) and shape of a graph's input or output.

    A dimension that the file leaves open is 0.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} of {self.dtype} {list(self.shape)}"


def image_tensor(size: Size) -> TensorSpec:
    """The input of a network that takes pictures of `size` (H, W)."""
    return TensorSpec(IMAGE, "uint8", (1, *size, 3))


def output_name(task: Task, tail: Tail) -> str:
    """Name of the array that holds `task`."""
    return task.name if tail == "cpu" else task.finished_name


def output_tensor(task: Task, tail: Tail, size: Size, num_classes: int) -> TensorSpec:
    """The array that holds `task`, at `size` (H, W): the decoder's, or the picture's."""
    channels = task.num_channels(num_classes)
    name = output_name(task, tail)
    if tail == "cpu":
        return TensorSpec(name, "float32", (1, channels, *size))
    if task.kind == "classes":
        return TensorSpec(name, "uint8", (1, *size))
    return TensorSpec(name, "float32", (1, *size, *((channels,) if channels > 1 else ())))


def tasks_among(names: Iterable[str], tail: Tail) -> tuple[Task, ...]:
    """The main tasks that a model with outputs of these names gives: the required ones always."""
    found = set(names)
    return tuple(t for t in OUTPUTS if not t.optional or output_name(t, tail) in found)


def task_planes(task: Task, tail: Tail, array: NDArray) -> NDArray:
    """An engine's array of `task` as [C, h, w], or [h, w] of finished class ids; a view."""
    if tail == "cpu" or task.kind == "classes":
        return array[0]
    return array[0][None] if array.ndim == 3 else array[0].transpose(2, 0, 1)


# --- class ids -----------------------------------------------------------------------------------


def unlabelled_id(num_classes: int) -> int:
    """The id that means "no class": 255, or 65535 from 255 classes on."""
    return 255 if num_classes < 255 else 65535


def label_type(num_classes: int) -> np.dtype:
    """The element type that holds every id and the one that means "no class"."""
    return np.min_scalar_type(unlabelled_id(num_classes))
