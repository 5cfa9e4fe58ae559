"""Say so when an output is larger than the transport carries."""

from __future__ import annotations

from mtpano_model.inference.output_size import resolve_output_size
from mtpano_ros.parameters import Parameters
from mtpano_ros.point_cloud import POINT_STEP, cloud_size
from mtpano_ros.topics import MAX_MESSAGE_BYTES

NORMAL_BYTES = 12  # of a pixel of `normals`, the largest of the images


def transport_advice(parameters: Parameters, network_size: tuple[int, int]) -> str | None:
    """One line if the largest image or cloud of these parameters may be lost on the way.

    Where the size follows the image, it is capped low enough to fit.
    """
    if parameters.output_size == "input":
        return None
    size = resolve_output_size(parameters.output_size, network_size, network_size)
    normals = size[0] * size[1] * NORMAL_BYTES
    if normals > MAX_MESSAGE_BYTES:
        return _advice(f"normals of {size[0]}x{size[1]} are", normals, "output_size smaller")
    stride = parameters.cloud_stride
    cloud = _cloud_bytes(size, stride)
    if cloud <= MAX_MESSAGE_BYTES:
        return None
    fitting = stride
    while _cloud_bytes(size, fitting) > MAX_MESSAGE_BYTES:
        fitting += 1
    return _advice(
        f"a cloud of {size[0]}x{size[1]} at stride {stride} is", cloud, f"cloud_stride to {fitting}"
    )


def _cloud_bytes(size: tuple[int, int], stride: int) -> int:
    rows, columns = cloud_size(size, stride)
    return rows * columns * POINT_STEP


def _advice(what: str, length: int, remedy: str) -> str:
    return (
        f"{what} {length / 2**20:.0f} MiB, more than the {MAX_MESSAGE_BYTES / 2**20:.0f} MiB that "
        "the shipped transport profile carries without loss on a busy machine: set "
        f"{remedy}, or use a profile with a larger segment"
    )
