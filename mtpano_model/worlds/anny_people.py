"""People for the worlds, from PyPI's anny: OBJ files with a table, as the catalogue reads them.

Run by a Python that has anny: `python -m mtpano_model.worlds.anny_people --count 60 --out FOLDER`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from pathlib import Path

import numpy as np

from mtpano_model.errors import MtpanoError, writing
from mtpano_model.worlds.anny_bodies import VERSION, Bodies
from mtpano_model.worlds.anny_cloth import Part
from mtpano_model.worlds.anny_dress import dress
from mtpano_model.worlds.anny_outfits import Outfit, choose_outfit
from mtpano_model.worlds.anny_poses import POSES

REVISION = 1  # of what a seed gives; part of every name
_HEAD = "role,class,file,width,depth,height,licence,creator"
_LICENCE = "Apache-2.0; MakeHuman data CC0 1.0"
_CREATOR = f"anny {VERSION} (NAVER Corp.) from MakeHuman"
_YOUNGEST_SEATED = 11  # years: below, feet do not reach the floor from a chair


def make_people(count: int, folder: Path, seed: int) -> None:
    """Write `count` people to a new folder, the table last; MtpanoError if the folder exists."""
    if folder.exists():
        raise MtpanoError(f"{folder} exists already: remove it, or name another folder")
    half_done = folder.with_name(f".{folder.name}.part")
    bodies, rows = Bodies(), [_HEAD]
    with writing(folder):
        shutil.rmtree(half_done, ignore_errors=True)
        half_done.mkdir(parents=True)
        for number in range(count):
            rows.append(_make_one(bodies, half_done, seed, number))
        (half_done / "models.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
        half_done.replace(folder)


def _make_one(bodies: Bodies, folder: Path, seed: int, number: int) -> str:
    """One person's files; returns the row of the table."""
    rng = random.Random(f"{seed}:{number}:{REVISION}")
    age = rng.choices((rng.uniform(3, 13), rng.uniform(13, 60), rng.uniform(60, 85)), (3, 13, 4))[0]
    take = rng.choices(list(POSES), list(POSES.values()))[0]
    pose = take(rng)
    if pose.role == "seatedperson":
        age = max(age, _YOUNGEST_SEATED + rng.uniform(0, 20))
    is_female = rng.random() < 0.5
    body = bodies.make(age, is_female, pose, rng.randrange(2**31))
    outfit = choose_outfit(rng, age, is_female, pose)
    parts = dress(body, outfit)
    name = f"{take.__name__}-{REVISION}-{seed}-{number:04d}"
    _write_obj(folder / f"{name}.obj", parts)
    _write_mtl(folder / f"{name}.mtl", outfit)
    width, depth, height = np.ptp(np.concatenate([p.vertices for p in parts]), axis=0)
    return (
        f"{pose.role},person,{name}.obj,{width:.4f},{depth:.4f},{height:.4f},{_LICENCE},{_CREATOR}"
    )


def _write_obj(path: Path, parts: list[Part]) -> None:
    """Axes of OBJ files: x right, y up, z towards whom it faces."""
    lines, before = [f"mtllib {path.stem}.mtl"], 1
    for part in parts:
        lines += [f"v {x:.4f} {z:.4f} {-y:.4f}" for x, y, z in part.vertices.tolist()]
        lines += [f"usemtl {part.material}", "s 1"]
        lines += [f"f {a} {b} {c}" for a, b, c in (part.faces + before).tolist()]
        before += len(part.vertices)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _write_mtl(path: Path, outfit: Outfit) -> None:
    """Colours as light, which is how Blender reads them."""
    lines = []
    for material, colour in outfit.colours.items():
        srgb = np.array([int(colour[k : k + 2], 16) for k in (0, 2, 4)]) / 255
        light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        shine = {"skin": 60, "hair": 60, "eyes": 400, "shoes": 120}.get(material, 10)
        lines += [f"newmtl {material}", "Kd {:.4f} {:.4f} {:.4f}".format(*light), f"Ns {shine}"]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 1 with one line on stderr if it cannot make them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="number of people to make")
    parser.add_argument("--out", type=Path, required=True, help="new folder to write them to")
    parser.add_argument("--seed", type=int, default=0, help="number that decides the people")
    args = parser.parse_args(arguments)
    try:
        if args.count < 1:
            raise MtpanoError(f"--count {args.count} is too small: expected 1 or more")
        make_people(args.count, args.out, args.seed)
    except MtpanoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {args.count} people")
    return 0


if __name__ == "__main__":
    sys.exit(main())
