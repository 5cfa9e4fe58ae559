"""Say so when the cloud is larger than the transport takes."""

from __future__ import annotations

from mtpano_model.inference.output_size import resolve_output_size
from mtpano_ros.parameters import Parameters
from mtpano_ros.point_cloud import POINT_STEP, cloud_size
from mtpano_ros.topics import MAX_MESSAGE_BYTES


def transport_advice(parameters: Parameters, network_size: tuple[int, int]) -> str | None:
    """One line if the largest cloud these parameters allow does not fit the shipped profile.

    Where the size follows the image, it is capped low enough to fit.
    """
    if parameters.output_size == "input":
        return None
    size = resolve_output_size(parameters.output_size, network_size, network_size)
    rows, columns = cloud_size(size, parameters.cloud_stride)
    length = rows * columns * POINT_STEP
    if length <= MAX_MESSAGE_BYTES:
        return None
    stride = parameters.cloud_stride
    while rows * columns * POINT_STEP > MAX_MESSAGE_BYTES:
        stride += 1
        rows, columns = cloud_size(size, stride)
    return (
        f"a cloud of {size[0]}x{size[1]} at stride {parameters.cloud_stride} is "
        f"{length / 2**20:.0f} MiB, more than the {MAX_MESSAGE_BYTES / 2**20:.0f} MiB that the "
        f"shipped transport profile takes in one message: set cloud_stride to {stride}, or use a "
        "profile with a larger segment"
    )
