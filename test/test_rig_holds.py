"""What a rig must hold for every lens model: the network sees and says what it would of a panorama.

The analytic room is looked at from where each lens is, so that parallax is the true one; bundled
panoramas are taken to be two metres away on all sides.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from box_room import COLORS, WALLS
from fisheye_views import _pixel_rays, back_to_back, bundled, rig_pictures
from lenses import FISHEYES, NARROW
from test_rig import seam

from mtpano_model.geometry import sphere
from mtpano_model.inference import load_estimator
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.rig.composer import Composer
from mtpano_model.rig.rig import Lens, Rig

NETWORK = (256, 512)
METRES = 2.0
BASELINES = (0.0, 0.023)
# Which bundled panorama each model is tried on, so that all are seen.
PICTURES = {
    "equidistant": "hall",
    "eucm": "apartment",
    "ds": "lab",
    "omni": "warehouse",
    "pinhole": "workshop",
}
MOST = 0.02  # of depth, median
# To all six sides.
CUBE = [sphere.yaw_matrix(n * np.pi / 2) for n in range(4)]
CUBE += [sphere.pitch_matrix(angle) for angle in (np.pi / 2, -np.pi / 2)]


def rig_of(model: str, baseline: float) -> Rig:
    """Two lenses of 200 degrees back to back, or six pinholes, `baseline` apart."""
    if model in FISHEYES:
        return back_to_back(FISHEYES[model], baseline, distance=METRES)
    camera = replace(NARROW[model], field_of_view=None)
    lenses = [
        Lens(str(n), camera, turn, turn[:, 2] * baseline / 2, str(n)) for n, turn in enumerate(CUBE)
    ]
    return Rig(tuple(lenses), distance=METRES)


def room(rays: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """What rays [..., 3] from `origin` see of the box room, whose walls are given waves here."""
    walls = np.array(WALLS)
    with np.errstate(divide="ignore"):
        reach = (np.where(rays > 0, walls[:, 1], walls[:, 0]) - origin) / rays
    axis = np.abs(reach).argmin(-1)
    distance = np.take_along_axis(np.abs(reach), axis[..., None], -1)
    points = origin + rays * distance
    sign = np.take_along_axis(rays, axis[..., None], -1)[..., 0] > 0
    waves = np.sin(points * [5.0, 7.0, 6.0]).sum(-1) - np.sin(7 * points[..., 1]) * (axis == 1)
    colors = np.array(COLORS, float)[2 * axis + sign] * 0.8 + 14 * waves[..., None]
    return np.clip(colors, 0, 255).astype(np.uint8)


def views_of(source: str, rig: Rig) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The panorama, and what the lenses see of it."""
    if source != "room":
        panorama = bundled(source)
        return panorama, rig_pictures(panorama, rig, METRES if rig.baseline else None)
    panorama = room(sphere.rays(1024, 2048).astype(float), np.zeros(3))
    pictures = {}
    for lens in rig.lenses:
        rays, seen = _pixel_rays(lens.camera)
        rays = np.nan_to_num(rays, nan=1.0) @ lens.rotation.T
        pictures[lens.topic] = np.where(seen[..., None], room(rays, lens.position), 0)
        pictures[lens.topic] = pictures[lens.topic].astype(np.uint8)
    return panorama, pictures


@pytest.fixture(scope="module")
def estimator():
    with load_estimator(threads=1) as one:
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("place", ["room", "bundled"])
@pytest.mark.parametrize("model", PICTURES)
def test_the_network_sees_and_says_the_same(model, place, baseline, estimator) -> None:
    source = PICTURES[model] if place == "bundled" else "room"
    rig = rig_of(model, baseline)
    panorama, pictures = views_of(source, rig)
    direct = preprocess(panorama, NETWORK)
    composed, seen = Composer(rig, NETWORK).compose(pictures)
    assert seen.all()
    if not baseline:
        difference = np.abs(composed.astype(float) - direct[0])
        assert difference[~seam(rig, NETWORK, pictures)].mean() < 1.5
    expected = estimator.postprocess(estimator.infer(direct)).depth.copy()
    depth = estimator.postprocess(estimator.infer(composed[None])).depth
    assert np.median(np.abs(depth / expected - 1)) < MOST
