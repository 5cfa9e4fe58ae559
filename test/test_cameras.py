"""Lens models against OpenCV, against Kalibr's formulas written anew, and against themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from lenses import CENTER, LENSES, SIZE

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras import Camera, camera_from_kalibr, camera_from_ros


def cone_rays(camera: Camera, count: int = 4000, within: float = 1.0) -> np.ndarray:
    """Unit rays spread over the lens's field of view, the axis and the rim included."""
    rng = np.random.default_rng(5)
    angle = camera.largest_angle * within * np.sqrt(rng.random(count))
    angle[:8], angle[8:40] = 0.0, camera.largest_angle * within * (1 - 1e-9)
    turn = rng.random(count) * 2 * np.pi
    return np.stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)], -1)


def published(camera: Camera, ray: np.ndarray) -> tuple[float, float]:
    """Pixel of one ray by the formulas as Kalibr and the papers print them, on points (x, y, z)."""
    x, y, z = (float(v) for v in ray)
    if camera.model == "equidistant":
        r = math.sqrt(x * x + y * y)
        t = math.atan2(r, z)
        k1, k2, k3, k4 = camera.distortion
        bent = t + k1 * t**3 + k2 * t**5 + k3 * t**7 + k4 * t**9
        mx, my = (bent * x / r, bent * y / r) if r else (0.0, 0.0)
    elif camera.model == "eucm":
        alpha, beta = camera.shape
        rho = math.sqrt(beta * (x * x + y * y) + z * z)
        mx, my = x / (alpha * rho + (1 - alpha) * z), y / (alpha * rho + (1 - alpha) * z)
    elif camera.model == "ds":
        xi, alpha = camera.shape
        d1 = math.sqrt(x * x + y * y + z * z)
        d2 = math.sqrt(x * x + y * y + (xi * d1 + z) ** 2)
        down = alpha * d2 + (1 - alpha) * (xi * d1 + z)
        mx, my = x / down, y / down
    else:
        xi = camera.shape[0] if camera.shape else 0.0
        depth = z + xi * math.sqrt(x * x + y * y + z * z)
        mx, my = x / depth, y / depth
        k1, k2, p1, p2, k3, k4, k5, k6 = (*camera.distortion, *[0.0] * 8)[:8]
        r2 = mx * mx + my * my
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        mx, my = (
            mx * radial + 2 * p1 * mx * my + p2 * (r2 + 2 * mx * mx),
            my * radial + p1 * (r2 + 2 * my * my) + 2 * p2 * mx * my,
        )
    return camera.focal[0] * mx + camera.center[0], camera.focal[1] * my + camera.center[1]


@pytest.mark.parametrize("name", LENSES)
def test_projects_as_the_published_formulas_do(name: str) -> None:
    rays = cone_rays(LENSES[name], 500)
    columns, rows, _ = LENSES[name].project(rays)
    expected = np.array([published(LENSES[name], ray) for ray in rays])
    np.testing.assert_allclose(np.stack([columns, rows], -1), expected, atol=1e-6)


@pytest.mark.parametrize("name", LENSES)
def test_comes_back_over_the_whole_field_of_view(name: str) -> None:
    camera = LENSES[name]
    rays = cone_rays(camera)
    columns, rows, seen = camera.project(rays)
    back, known = camera.unproject(columns, rows)
    assert seen.mean() > 0.8
    assert known[seen].all()
    assert np.abs(back - rays)[seen].max() < 1e-6
    again = camera.project(back[seen])
    assert np.hypot(again[0] - columns[seen], again[1] - rows[seen]).max() < 1e-6


@pytest.mark.parametrize("name", ["pinhole", "rational", "undistorted"])
def test_pinhole_is_opencv_s(name: str) -> None:
    camera = LENSES[name]
    rays = cone_rays(camera)
    distortion = np.array(camera.distortion or (0, 0, 0, 0), float)
    expected, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix(camera), distortion)
    columns, rows, _ = camera.project(rays)
    np.testing.assert_allclose(np.stack([columns, rows], -1), expected[:, 0], atol=1e-6)


def test_equidistant_is_opencv_s_fisheye() -> None:
    camera = LENSES["equidistant"]
    rays = cone_rays(camera, within=0.85)  # OpenCV divides by z, so it ends at 90 degrees
    expected, _ = cv2.fisheye.projectPoints(
        rays[:, None], np.zeros(3), np.zeros(3), matrix(camera), np.array(camera.distortion)
    )
    columns, rows, _ = camera.project(rays)
    np.testing.assert_allclose(np.stack([columns, rows], -1), expected[:, 0], atol=1e-6)


@pytest.mark.skipif(not hasattr(cv2, "omnidir"), reason="this OpenCV has no omnidir (contrib)")
def test_omni_is_opencv_s_omnidir() -> None:
    camera = LENSES["omni"]
    rays = cone_rays(camera)
    expected, _ = cv2.omnidir.projectPoints(
        rays[None],
        np.zeros(3),
        np.zeros(3),
        matrix(camera),
        camera.shape[0],
        np.array(camera.distortion),
    )
    columns, rows, _ = camera.project(rays)
    np.testing.assert_allclose(
        np.stack([columns, rows], -1), np.reshape(expected, (-1, 2)), atol=1e-6
    )


def matrix(camera: Camera) -> np.ndarray:
    """OpenCV's 3x3 camera matrix."""
    (fx, fy), (cx, cy) = camera.focal, camera.center
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


@pytest.mark.parametrize("name", LENSES)
def test_nothing_is_seen_outside_the_cone_or_behind(name: str) -> None:
    camera = LENSES[name]
    half = camera.largest_angle
    for angle, expected in ((half * 0.5, True), (half * 1.001, False), (math.pi, False)):
        ray = [math.sin(angle), 0, math.cos(angle)]
        assert bool(camera.project(ray)[2]) is expected, angle
    assert not camera.project(np.zeros(3))[2]


@pytest.mark.parametrize(
    ("model", "shape", "limit"),
    [
        ("eucm", (0.4, 1.0), math.acos(-0.4 / 0.6)),
        ("eucm", (0.7, 1.0), math.acos(-0.3 / 0.7)),
        ("omni", (0.8,), math.acos(-0.8)),
        ("omni", (2.0,), math.acos(-0.5)),
        ("ds", (0.0, 0.4), math.acos(-0.4 / 0.6)),
    ],
)
def test_a_model_ends_where_its_picture_folds(model: str, shape: tuple, limit: float) -> None:
    camera = Camera(model, (20000, 20000), (100.0, 100.0), (9999.5, 9999.5), shape)
    assert camera.model_limit == pytest.approx(limit, abs=1e-6)
    angles = np.linspace(0, limit * 0.999, 3000)
    columns = camera.project(np.stack([np.sin(angles), 0 * angles, np.cos(angles)], -1))[0]
    assert (np.diff(columns) > 0).all()


def test_distortion_that_folds_back_ends_the_view_there() -> None:
    camera = Camera("pinhole", SIZE, (300.0, 300.0), CENTER, (), (-0.3, 0.0, 0.0, 0.0))
    fold = math.sqrt(1 / 0.9)  # d/dr of r - 0.3 r^3
    assert math.tan(camera.model_limit) == pytest.approx(fold, rel=1e-6)
    assert not camera.project([fold * 1.01, 0, 1])[2]


@pytest.mark.parametrize("name", LENSES)
def test_a_resized_picture_has_a_resized_calibration(name: str) -> None:
    camera = LENSES[name]
    small = camera.scaled_to((720, 736))
    rays = cone_rays(camera, 200)
    columns, rows, seen = camera.project(rays)
    smaller = small.project(rays)
    # Edges, not centres, keep their place when a picture is resized.
    np.testing.assert_allclose((columns + 0.5) / 2, smaller[0] + 0.5, atol=1e-9)
    np.testing.assert_allclose((rows + 0.5) / 2, smaller[1] + 0.5, atol=1e-9)
    assert (seen == smaller[2]).all()


@pytest.mark.parametrize("size", [(1440, 1440), (721, 736), (720, 1472), (1, 1)])
def test_a_picture_of_another_shape_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(MtpanoError, match=f"{size[0]}x{size[1]}.*1440x1472.*another shape"):
        LENSES["eucm"].scaled_to(size)


# --- names and orders ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "distortion", "intrinsics", "ours"),
    [
        ("pinhole", "radtan", [500, 501, 320, 240], "pinhole"),
        ("pinhole", "equi", [500, 501, 320, 240], "equidistant"),
        ("pinhole", "equidistant", [500, 501, 320, 240], "equidistant"),
        ("Kannala Brandt4", "", [500, 501, 320, 240], "equidistant"),
        ("kannala_brandt", "", [500, 501, 320, 240], "equidistant"),
        ("fisheye", "fisheye", [500, 501, 320, 240], "equidistant"),
        ("eucm", "none", [0.6, 1.1, 500, 501, 320, 240], "eucm"),
        ("ds", "none", [-0.2, 0.6, 500, 501, 320, 240], "ds"),
        ("double-sphere", "", [-0.2, 0.6, 500, 501, 320, 240], "ds"),
        ("omni", "radtan", [1.4, 500, 501, 320, 240], "omni"),
        ("Mei", "radtan", [1.4, 500, 501, 320, 240], "omni"),
    ],
)
def test_kalibr_s_names_and_orders(model, distortion, intrinsics, ours) -> None:
    four = [] if ours in ("eucm", "ds") else [0.01, 0.002, 0.003, 0.004]
    camera = camera_from_kalibr(model, intrinsics, (480, 640), distortion, four)
    assert (camera.model, camera.focal, camera.center) == (ours, (500, 501), (320, 240))
    assert camera.shape == tuple(intrinsics[:-4])
    assert camera.distortion == tuple(four)


@pytest.mark.parametrize(
    "name", ["plumb_bob", "rational_polynomial", "equidistant", "fisheye", "Kannala Brandt4"]
)
def test_camera_info_s_names(name: str) -> None:
    fisheye = name in ("equidistant", "fisheye", "Kannala Brandt4")
    d = [0.1, 0.02, 0.003, 0.004] if fisheye else [0.1, 0.02, 0.003, 0.004, 0.0]
    camera = camera_from_ros(name, (480, 640), [500, 0, 320, 0, 501, 240, 0, 0, 1], d)
    assert camera.model == ("equidistant" if fisheye else "pinhole")
    assert (camera.focal, camera.center, camera.distortion[:4]) == (
        (500, 501),
        (320, 240),
        (*d,)[:4],
    )


def test_camera_info_of_a_cut_and_binned_picture() -> None:
    k = [500, 0, 320, 0, 500, 240, 0, 0, 1]
    camera = camera_from_ros("plumb_bob", (480, 640), k, [], None, (2, 2), (40, 100, 400, 440))
    assert camera.size == (200, 220)
    full = camera_from_ros("plumb_bob", (480, 640), k, [])
    columns, rows, _ = full.project([0.1, -0.05, 1.0])
    assert camera.project([0.1, -0.05, 1.0])[0] == pytest.approx((columns - 100 + 0.5) / 2 - 0.5)
    assert camera.project([0.1, -0.05, 1.0])[1] == pytest.approx((rows - 40 + 0.5) / 2 - 0.5)


FOUR = [500, 501, 320, 240]
IDENTITY = [500, 0, 320, 0, 500, 240, 0, 0, 1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: camera_from_kalibr("fov", FOUR, SIZE), "'fov' is unknown.*eucm"),
        (lambda: camera_from_kalibr("pinhole", FOUR, SIZE, "fov", [0.9]), "'fov'.*expected radtan"),
        (lambda: camera_from_kalibr("eucm", FOUR, SIZE), "4 intrinsics, expected 6: alpha, beta"),
        (lambda: camera_from_kalibr("eucm", [0.6, 1, *FOUR], SIZE, "equi", [0.1] * 4), "none"),
        (lambda: camera_from_kalibr("ds", [0.6, 1.1, *FOUR], SIZE), "alpha.*1.1, expected 0 to 1"),
        (lambda: camera_from_kalibr("omni", [-1, *FOUR], SIZE), "xi.*-1, expected 0 or more"),
        (lambda: camera_from_kalibr("eucm", [0.6, 0, *FOUR], SIZE), "beta.*more than 0"),
        (lambda: camera_from_kalibr("pinhole", FOUR, SIZE, "equi", [0.1]), "1 distortion coeff"),
        (lambda: camera_from_kalibr("pinhole", [0, 1, 2, 3], SIZE), "focal lengths.*positive"),
        (lambda: camera_from_kalibr("pinhole", [math.nan, 1, 2, 3], SIZE), "finite"),
        (lambda: replace(LENSES["ds"], field_of_view=400), "400 degrees"),
        (lambda: camera_from_ros("plumb_bob", SIZE, [0] * 9, []), "not calibrated"),
        (lambda: camera_from_ros("omni", SIZE, IDENTITY, []), "cannot hold"),
        (lambda: camera_from_ros("equirectangular", SIZE, IDENTITY, []), "unknown"),
        (lambda: camera_from_ros("plumb_bob", SIZE, [500, 2, *IDENTITY[2:]], []), "skew of 2"),
    ],
)
def test_a_lens_that_cannot_be_is_refused_in_one_sentence(call, words: str) -> None:
    with pytest.raises(MtpanoError, match=words):
        call()
