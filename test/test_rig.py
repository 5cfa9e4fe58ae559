"""Panoramas composed from lenses, against the panorama that the lenses looked at."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fisheye_views import back_to_back, bundled, lens_picture, rig_pictures
from lenses import FISHEYES, LENSES, NARROW

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.inference import load_estimator
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.pictures.crop import FILLING
from mtpano_model.rig.composer import Composer
from mtpano_model.rig.exposure import Exposure
from mtpano_model.rig.look_up import look_up
from mtpano_model.rig.rig import Lens, Rig
from mtpano_model.rig.views import LensView

NETWORK = (256, 512)
# A quarter of the real lens, for the tests that are not about its resolution.
SMALL = LENSES["equidistant"].scaled_to((360, 368))
SMALL_SIZE = (64, 128)


def seam(rig: Rig, size: tuple[int, int], pictures: dict) -> np.ndarray:
    """Where more than one lens has a share, bool [H, W]."""
    maps = look_up(
        rig, size, {n: pictures[one.topic].shape[:2] for n, one in enumerate(rig.lenses)}
    )
    where = np.zeros(size, bool)
    for mix in maps.mixes:
        where.flat[mix.index] = True
    return where


@pytest.mark.parametrize("name", FISHEYES)
def test_two_fisheyes_give_what_the_panorama_itself_gives(name: str) -> None:
    panorama = bundled("workshop")  # the one with the most detail
    direct = preprocess(panorama, NETWORK)[0].astype(float)
    rig = back_to_back(FISHEYES[name])
    pictures = rig_pictures(panorama, rig)
    composed, seen = Composer(rig, NETWORK).compose(pictures)
    difference = np.abs(composed - direct)
    assert seen.all()
    assert difference[~seam(rig, NETWORK, pictures)].mean() < 1.5
    assert difference.mean() < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("panorama", ["apartment", "hall", "lab", "warehouse", "workshop"])
def test_depth_stays_what_it_is(panorama: str) -> None:
    picture = bundled(panorama)
    rig = back_to_back(FISHEYES["equidistant"])
    composed, _ = Composer(rig, NETWORK).compose(rig_pictures(picture, rig))
    with load_estimator(threads=1) as estimator:
        direct = estimator.predict(picture).depth
        depth = estimator.postprocess(estimator.infer(composed[None])).depth
    assert np.median(np.abs(depth / direct - 1)) < 0.02


def test_a_baseline_is_bridged_at_the_rig_s_distance() -> None:
    panorama = bundled("lab")
    direct = preprocess(panorama, NETWORK)[0].astype(float)
    errors = {}
    for distance in (2.0, math.inf):
        rig = back_to_back(FISHEYES["equidistant"], 0.023, distance=distance)
        composed, _ = Composer(rig, NETWORK).compose(rig_pictures(panorama, rig, depth=2.0))
        errors[distance] = np.abs(composed - direct).mean()
    assert errors[2.0] < 1.5
    assert errors[math.inf] > errors[2.0]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_picture_changes_nothing(turn: int) -> None:
    panorama = bundled("lab")
    upright = back_to_back(SMALL)
    expected, _ = Composer(upright, SMALL_SIZE).compose(rig_pictures(panorama, upright))
    turned = upright.with_lens(replace(upright.lenses[1], turn=turn))
    composed, _ = Composer(turned, SMALL_SIZE).compose(rig_pictures(panorama, turned))
    assert np.abs(composed.astype(int) - expected).max() <= 2


def test_tiles_of_one_picture_are_as_good_as_topics() -> None:
    panorama = bundled("lab")
    apart = back_to_back(SMALL)
    pictures = rig_pictures(panorama, apart)
    expected, _ = Composer(apart, SMALL_SIZE).compose(pictures)
    front, back = apart.lenses
    tiled = Rig(
        (
            replace(front, topic="both", tile=(0, 0, 1, 0.5)),
            replace(back, topic="both", tile=(0, 0.5, 1, 0.5)),
        )
    )
    both = np.hstack([pictures["front"], pictures["back"]])
    composed, _ = Composer(tiled, SMALL_SIZE).compose({"both": both})
    assert (composed == expected).all()
    assert tiled.topics == ("both",)


def test_a_picture_of_another_size_is_scaled_where_that_is_exact() -> None:
    panorama = bundled("lab")
    rig = back_to_back(SMALL)
    large = rig_pictures(panorama, rig)
    half = {
        topic: cv2.resize(picture, (184, 180), interpolation=cv2.INTER_AREA)
        for topic, picture in large.items()
    }
    composer = Composer(rig, SMALL_SIZE)
    expected, _ = composer.compose(large)
    composed, seen = composer.compose(half)
    assert np.abs(composed.astype(float) - expected)[seen].mean() < 4
    with pytest.raises(MtpanoError, match="180x180 and the calibration is of 360x368"):
        composer.compose({topic: picture[:, :180] for topic, picture in half.items()})


@pytest.mark.parametrize("name", LENSES)
def test_a_lens_s_view_is_what_opencv_makes_of_the_panorama(name: str) -> None:
    panorama = bundled("lab")
    lens = Lens("a", LENSES[name].scaled_to((360, 368)), sphere.yaw_matrix(2.0), np.zeros(3), "a")
    made, expected = LensView(lens, (512, 1024))(panorama), lens_picture(panorama, lens)
    assert np.abs(made.astype(int) - expected).max() <= 12  # its places are of 1/32 pixel
    assert np.abs(made.astype(int) - expected).mean() < 0.2


@pytest.mark.parametrize("dead", ["front", "back"])
def test_a_dead_lens_leaves_its_half_unseen(dead: str) -> None:
    panorama = bundled("lab")
    rig = back_to_back(SMALL)
    pictures = rig_pictures(panorama, rig)
    del pictures[dead]
    composed, seen = Composer(rig, SMALL_SIZE).compose(pictures)
    sees = (1 - math.cos(math.radians(100))) / 2
    areas = np.broadcast_to(sphere.solid_angles(*SMALL_SIZE), SMALL_SIZE) / (4 * np.pi)
    assert areas[seen].sum() == pytest.approx(sees, abs=0.02)
    assert (composed[~seen] == FILLING).all()
    behind = np.abs(sphere.longitudes(SMALL_SIZE[1])) > np.radians(110)
    middle = slice(SMALL_SIZE[0] // 2 - 1, SMALL_SIZE[0] // 2 + 1)
    assert seen[middle, behind].any() == (dead == "front")
    with pytest.raises(MtpanoError, match="none of the rig's lenses"):
        Composer(rig, SMALL_SIZE).compose({})


def test_a_mask_hides_what_only_the_masked_lens_sees() -> None:
    panorama = bundled("lab")
    mask = np.zeros((360, 368), bool)
    mask[300:] = True  # the lowest rows of the front lens
    rig = back_to_back(SMALL)
    masked = rig.with_lens(replace(rig.lenses[0], mask=mask))
    pictures = rig_pictures(panorama, rig)
    pictures["front"][300:] = 255
    expected, _ = Composer(rig, SMALL_SIZE).compose(rig_pictures(panorama, rig))
    composed, seen = Composer(masked, SMALL_SIZE).compose(pictures)
    assert 0.02 < (~seen).mean() < 0.2
    assert np.abs(composed[seen].astype(float) - expected[seen]).max() < 40


def test_five_pinholes_show_what_they_see() -> None:
    panorama = bundled("lab")
    camera = NARROW["undistorted"].scaled_to((360, 368))
    lenses = tuple(
        Lens(f"l{n}", camera, sphere.yaw_matrix(n * 2 * np.pi / 5), np.zeros(3), f"t{n}")
        for n in range(5)
    )
    rig = Rig(lenses)
    composed, seen = Composer(rig, SMALL_SIZE).compose(rig_pictures(panorama, rig))
    direct = preprocess(panorama, SMALL_SIZE)[0].astype(float)
    assert seen[SMALL_SIZE[0] // 2].all()
    assert not seen[:4].any()
    assert np.abs(composed - direct)[seen].mean() < 4  # of a lens with 1.3 times the resolution


def test_lenses_of_different_exposure_are_matched() -> None:
    panorama = bundled("lab")
    rig = back_to_back(SMALL)
    pictures = rig_pictures(panorama, rig)
    gains = np.array([0.75, 0.8, 0.9])
    pictures["back"] = (pictures["back"] * gains).astype(np.uint8)
    composer = Composer(rig, SMALL_SIZE)
    composer.compose(pictures)
    found = composer.exposure.gains
    np.testing.assert_allclose(found[0] / found[1], gains, rtol=0.04)
    fixed = Composer(rig, SMALL_SIZE, Exposure(2), measures=False).compose(pictures)[0]
    matched = composer.compose(pictures)[0]
    reference = Composer(rig, SMALL_SIZE).compose(rig_pictures(panorama, rig))[0].astype(float)

    def tint_error(picture: np.ndarray) -> float:
        """How differently front and back stand to the true picture."""
        ratio = (picture.astype(float) + 1) / (reference + 1)
        return abs(
            float(ratio[28:36, 54:74].mean() - ratio[28:36, [*range(10), *range(118, 128)]].mean())
        )

    assert tint_error(matched) < 0.3 * tint_error(fixed)


def test_colours_for_the_cloud_come_at_another_size() -> None:
    panorama = bundled("lab")
    rig = back_to_back(LENSES["equidistant"].scaled_to((720, 736)))
    network = Composer(rig, (128, 256))
    colors = Composer(rig, (256, 512), network.exposure, measures=False)
    pictures = rig_pictures(panorama, rig)
    network.compose(pictures)
    composed, _ = colors.compose(pictures)
    assert np.abs(composed - preprocess(panorama, (256, 512))[0].astype(float)).mean() < 2.5


@pytest.mark.parametrize("height", [2, 4, 7])
def test_a_panorama_of_a_few_rows_is_filled_too(height: int) -> None:
    rig = back_to_back(LENSES["equidistant"])
    grey = {lens.topic: np.full((*lens.camera.size, 3), 90, np.uint8) for lens in rig.lenses}
    panorama, seen = Composer(rig, (height, 2 * height)).compose(grey)
    assert (np.abs(panorama[seen].astype(int) - 90) <= 1).all()
    assert seen.any()


def test_fills_the_buffer_that_it_is_given() -> None:
    rig = back_to_back(SMALL)
    batch = np.zeros((1, *SMALL_SIZE, 3), np.uint8)
    composed, _ = Composer(rig, SMALL_SIZE).compose(rig_pictures(bundled("lab"), rig), batch[0])
    assert composed is not None
    assert batch.any()
    assert np.shares_memory(composed, batch)


def test_turning_the_rig_turns_the_panorama() -> None:
    panorama = bundled("lab")
    rig = back_to_back(SMALL)
    pictures = rig_pictures(panorama, rig)
    straight, _ = Composer(rig, SMALL_SIZE).compose(pictures)
    turned, _ = Composer(rig.turned(sphere.yaw_matrix(np.pi / 2)), SMALL_SIZE).compose(pictures)
    shifted = np.roll(straight, SMALL_SIZE[1] // 4, axis=1)
    assert np.abs(turned.astype(float) - shifted).mean() < 1


# --- what is odd is said -------------------------------------------------------------------------


@pytest.mark.parametrize(("baseline", "nearest", "told"), [(0.023, 1, 0), (0.2, 1, 1), (0.2, 9, 0)])
def test_a_baseline_that_is_large_against_the_nearest_is_told(baseline, nearest, told) -> None:
    warnings = back_to_back(SMALL, baseline, nearest=nearest).warnings()
    assert len(warnings) == told
    assert all("0.200 m apart" in one for one in warnings)


def test_a_claim_beyond_the_model_is_told() -> None:
    camera = replace(LENSES["eucm"], shape=(0.1, 1.0))
    warning, _ = back_to_back(camera).warnings()
    limit = 2 * math.degrees(math.acos(-0.1 / 0.9))  # from the published condition z > -w d
    assert (
        f"'front' has a field_of_view of 200 degrees, but its calibration ends at {limit:.1f}"
        in warning
    )


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Rig(()), "0 lenses, expected 1 to 6"),
        (lambda: Rig((Lens("a", SMALL, EYE, np.zeros(3), "t"),) * 2), "different names"),
        (
            lambda: Rig(tuple(Lens(n, SMALL, EYE, np.zeros(3), "t") for n in "ab")),
            "same topic and tile",
        ),
        (lambda: Lens("a", SMALL, EYE, np.zeros(3), turn=45), "turn 45, expected 0, 90"),
        (lambda: Lens("a", SMALL, 2 * EYE, np.zeros(3)), "not a rotation"),
        (lambda: Lens("a", SMALL, np.diag([1.0, 1, -1]), np.zeros(3)), "not a rotation"),
        (lambda: Lens("a", SMALL, EYE, np.full(3, np.nan)), "position"),
        (lambda: Lens("a", SMALL, EYE, np.zeros(3), tile=(0, 0.6, 1, 0.5)), "tile .*fractions"),
        (lambda: Rig((Lens("a", SMALL, EYE, np.zeros(3)),), feather=0), "feather is 0"),
        (
            lambda: Composer(Rig((Lens("a", None, EYE, np.zeros(3)),)), SMALL_SIZE),
            "'a' has no calibration yet",
        ),
    ],
)
def test_a_rig_that_cannot_be_is_refused(call, words: str) -> None:
    with pytest.raises(MtpanoError, match=words):
        call()


def test_lens_picture_itself_agrees_with_the_panorama() -> None:
    """The tests' own fisheye: the pixel on the axis shows the panorama's middle."""
    panorama = bundled("lab")
    lens = Lens("a", SMALL, EYE, np.zeros(3))
    picture = lens_picture(panorama, lens)
    x, y = (round(c) for c in SMALL.center)
    middle = panorama[254:258, 510:514].reshape(-1, 3).mean(0)
    assert np.abs(picture[y, x] - middle).max() < 30
