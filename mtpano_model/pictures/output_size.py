"""The meaning of `outputs.size` (node) and `--output-size` (`mtpano predict`)."""

from __future__ import annotations

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.size import parse_panorama_size

INPUT_HEIGHT_CAP = 512


def parse_output_size(setting: str) -> tuple[int, int] | None:
    """Check a setting; (H, W) where it names a size, None for "input" and "network"."""
    if setting in ("input", "network"):
        return None
    try:
        return parse_panorama_size(setting)
    except MtpanoError as error:
        raise MtpanoError(f"output {error}, or input or network") from None


def resolve_output_size(
    setting: str, image_size: tuple[int, int], network_size: tuple[int, int]
) -> tuple[int, int]:
    """(H, W) of every output for one image, all sizes (H, W).

    "input": the image's own size, shrunk to 512 rows where it has more; "network": the network's
    input size; or a size HEIGHTxWIDTH. MtpanoError for anything else.
    """
    fixed = parse_output_size(setting)
    if fixed is not None:
        return fixed
    if setting == "network":
        return network_size
    height, width = image_size
    if height <= INPUT_HEIGHT_CAP:
        return height, width
    return INPUT_HEIGHT_CAP, round(width * INPUT_HEIGHT_CAP / height)
