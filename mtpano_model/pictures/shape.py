"""Which sizes a panorama may have: one rule for every reader."""

from __future__ import annotations

from mtpano_model.pictures.picture import BadPicture, Note
from mtpano_model.pictures.size import MAX_SIZE, Size, size_text

# Stitchers round: 2047 columns for 1024 rows are a panorama. Both bounds hold.
_HAIR_PIXELS, _HAIR_SHARE = 2, 0.01


def is_panoramic(size: Size) -> bool:
    """Whether (H, W) is 2:1 within two columns and within one percent."""
    height, width = size
    off = abs(width - 2 * height)
    return off <= _HAIR_PIXELS and off <= _HAIR_SHARE * width


def check_pixels(size: Size) -> None:
    """BadPicture unless (H, W) is a size that can be decoded."""
    height, width = size
    if not height or not width or height * width > MAX_SIZE[0] * MAX_SIZE[1]:
        raise BadPicture(
            "size",
            f"the image is {size_text(size)} (rows x columns), expected at least one pixel and at "
            f"most as many as {size_text(MAX_SIZE)} has",
        )


def check_shape(size: Size, allow_any: bool = False, hint: str = "") -> tuple[Note, ...]:
    """Notes about (H, W); BadPicture unless it is panoramic or `allow_any`.

    hint: what else is known of a picture of another shape, as half a sentence.
    """
    check_pixels(size)
    if is_panoramic(size):
        return ()
    if allow_any:
        text = (
            f"it is {size_text(size)} (rows x columns) and is read as a squeezed 2:1 panorama: "
            "directions and distances are wrong unless it is one"
        )
        return (Note("shape", text),)
    hint = hint or _usual_cause(size)
    raise BadPicture(
        "aspect",
        f"the image is {size_text(size)} (rows x columns), expected an equirectangular 2:1 "
        f"panorama{'; ' + hint if hint else ''} (the node and predict take it all the same with "
        "allow_non_2to1)",
    )


def _usual_cause(size: Size) -> str:
    height, width = size
    if abs(width - height) <= _HAIR_SHARE * width:
        return (
            "if it is top-bottom stereo, though its halves do not look alike, keep the upper one, "
            "and if it is a raw fisheye picture, describe the lens (mtpano rig template) or let "
            "the camera's software stitch it"
        )
    if abs(width - 4 * height) <= _HAIR_SHARE * width:
        return "if it is side-by-side stereo, keep its left half"
    if abs(3 * width - 4 * height) <= _HAIR_SHARE * 3 * width:
        return (
            "if it is planar YUV 4:2:0 sent as a grey picture, let the driver name its encoding "
            "(nv12, i420) and the picture's own height"
        )
    return ""
