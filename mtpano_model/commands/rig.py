"""`mtpano rig`: check a rig's panorama, calibrate a dual fisheye, print a driver's template."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray
from tyro.conf import Positional

from mtpano_model.errors import MtpanoError, writing
from mtpano_model.pictures.files import read_picture, write_picture
from mtpano_model.pictures.size import parse_panorama_size
from mtpano_model.rig.calibration import refine
from mtpano_model.rig.check import dark_rims, draw_shares, solid_shares
from mtpano_model.rig.composer import Composer
from mtpano_model.rig.overlaps import find_overlaps
from mtpano_model.rig.reading import read_rig
from mtpano_model.rig.rig import Rig
from mtpano_model.rig.writing import rig_yaml, template
from mtpano_model.whole_files import write_whole

Pictures = dict[str, NDArray[np.uint8]]


@dataclass
class Check:
    """Draw a rig's panorama and each lens's share of it, and measure how well they agree.

    It writes panorama.png and shares.png. In shares.png every lens has a colour, and what no lens
    sees is grey.
    """

    rig: Positional[Path]
    """A rig file (`mtpano rig template`) or Kalibr's camchain."""
    pictures: Positional[list[Path]]
    """One picture for every topic of the rig, in the order of its lenses."""
    out: Path = Path("out")
    """Folder to write to; it is created if it does not exist."""
    size: str = "512x1024"
    """Size of the panorama, HEIGHTxWIDTH."""


@dataclass
class Calibrate:
    """Refine a dual fisheye whose driver publishes no calibration, or only a nominal one.

    Centre, radius, the first two distortion terms and the rotation between the lenses come from
    what both see. Take pictures at three or more moments, with much detail and nothing nearer
    than two metres where both lenses look.
    """

    rig: Positional[Path]
    """The rig file to start from, for example one that `mtpano rig template` printed."""
    pictures: Positional[list[Path]]
    """Pictures of three or more moments; with two topics, first and second lens in turn."""
    out: Path = Path("rig_refined.yaml")
    """The rig file to write."""


@dataclass
class Template:
    """Print a commented rig file for a driver: insta360, theta, hilti, oak_ffc_4p or spot."""

    name: Positional[str]
    """The driver's name."""


Args = (
    Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
    | Annotated[Template, tyro.conf.subcommand("template")]
)


def run(args: Check | Calibrate | Template) -> int:
    """Run the chosen subcommand."""
    if isinstance(args, Check):
        return _check(args)
    if isinstance(args, Calibrate):
        return _calibrate(args)
    print(template(args.name), end="")
    return 0


def _check(args: Check) -> int:
    rig = read_rig(args.rig)
    (pictures,) = _moments(rig, args.pictures, exactly_one=True)
    size = parse_panorama_size(args.size)
    panorama, _ = Composer(rig, size).compose(pictures)
    with writing(args.out):
        args.out.mkdir(parents=True, exist_ok=True)
        write_picture(args.out / "panorama.png", panorama)
        write_picture(args.out / "shares.png", draw_shares(rig, panorama, pictures))
    shares, unseen = solid_shares(rig, size, pictures)
    for lens, share in zip(rig.lenses, shares, strict=True):
        print(f"{lens.name}: fills {100 * share:.1f} % of the sphere")
    print(f"no lens sees {100 * unseen:.1f} % of the sphere")
    for one in find_overlaps(rig, pictures):
        names = f"{rig.lenses[one.first].name} and {rig.lenses[one.second].name}"
        if len(one.degrees):
            print(
                f"{names}: {np.median(one.degrees):.2f} degrees apart (median of "
                f"{len(one.degrees)} points), colours differ by {one.difference:.1f} of 255"
            )
        else:
            print(f"{names}: no points found in what both see")
    for warning in [*rig.warnings(), *dark_rims(rig, pictures)]:
        print(f"warning: {warning}")
    print(f"panorama.png and shares.png -> {args.out.resolve()}")
    return 0


def _calibrate(args: Calibrate) -> int:
    rig = read_rig(args.rig)
    refined = refine(rig, _moments(rig, args.pictures))
    with writing(args.out):
        write_whole(args.out, rig_yaml(refined.rig).encode())
    print(
        f"the lenses disagreed by {refined.before:.2f} degrees and now by {refined.after:.2f} "
        f"(median of {refined.matches} points) -> {args.out}"
    )
    for lens in rig.lenses:
        if lens.mask is not None:
            print(f"warning: the mask of lens '{lens.name}' is not in that file: add it again")
    return 0


def _moments(rig: Rig, paths: list[Path], exactly_one: bool = False) -> list[Pictures]:
    """The pictures of every moment, by topic."""
    topics = rig.topics
    many = len(paths)
    if many == 0 or many % len(topics) or (exactly_one and many != len(topics)):
        raise MtpanoError(
            f"{many} pictures are given and the rig has the topics {', '.join(topics)}: give one "
            "picture per topic, in this order"
        )
    pictures = [read_picture(path).rgb for path in paths]
    return [
        dict(zip(topics, pictures[start : start + len(topics)], strict=True))
        for start in range(0, many, len(topics))
    ]
