"""Warns of an output that is larger than the transport can carry."""

from __future__ import annotations

from collections.abc import Iterable

from mtpano_model.pictures.output_size import resolve_output_size
from mtpano_model.pictures.size import size_text
from mtpano_ros.outputs.base import Output
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import MAX_MESSAGE_BYTES


def transport_advice(
    outputs: Iterable[Output], parameters: Parameters, network_size: tuple[int, int]
) -> str | None:
    """One line if the transport may lose the largest message of these outputs, else None.

    An output size that follows the image is capped low enough to fit.
    """
    setting = parameters.outputs.size
    if setting == "input":
        return None
    size = resolve_output_size(setting, network_size, network_size)
    too_large = []
    for output in outputs:
        length = output.message_bytes(size, parameters)
        if length > MAX_MESSAGE_BYTES:
            remedy = output.remedy(size, parameters, MAX_MESSAGE_BYTES)
            too_large.append((length, output.topics[0].name, remedy))
    if not too_large:
        return None
    # What only a smaller size mends comes first, since it mends the others as well; else the first
    # of the table, since the last are made for few.
    length, name, remedy = max(too_large, key=lambda one: 0 if one[2] else one[0])
    return (
        f"{name} of {size_text(size)} is {length / 2**20:.0f} MiB, more than the "
        f"{MAX_MESSAGE_BYTES / 2**20:.0f} MiB that the shipped transport profile carries without "
        f"loss on a busy machine: set {remedy or 'outputs.size smaller'}, or use a profile with a "
        "larger segment"
    )
