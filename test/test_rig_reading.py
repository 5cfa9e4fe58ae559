"""Rig files: ours, Kalibr's and CameraInfo with TF; and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from fisheye_views import back_to_back
from lenses import LENSES

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.geometry.cameras import camera_from_ros
from mtpano_model.rig.camera_info import calibrated_rig
from mtpano_model.rig.reading import read_rig, rotation_of
from mtpano_model.rig.writing import rig_yaml, template, template_names

LENS = {
    "topic": "a",
    "model": "eucm",
    "size": "480x640",
    "intrinsics": [0.6, 1.1, 250, 251, 320, 240],
}


def written(tmp_path, content):
    path = tmp_path / "rig.yaml"
    path.write_text(
        content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    )
    return path


def camchain(**changes) -> dict:
    """Two lenses back to back, cam1 0.1 m behind cam0."""
    to_cam1 = np.eye(4)
    to_cam1[:3, :3] = sphere.yaw_matrix(np.pi).T
    to_cam1[:3, 3] = to_cam1[:3, :3] @ [0, 0, 0.1]
    cam0 = {
        "camera_model": "pinhole",
        "distortion_model": "equidistant",
        "intrinsics": [400.0, 401.0, 730.0, 720.0],
        "distortion_coeffs": [0.01, 0.002, 0.0, 0.0],
        "resolution": [1472, 1440],
        "rostopic": "/cam0/image_raw",
    }
    cam1 = {
        "camera_model": "eucm",
        "distortion_model": "none",
        "intrinsics": [0.6, 1.1, 395.0, 396.0, 735.0, 719.0],
        "distortion_coeffs": [],
        "resolution": [1472, 1440],
        "rostopic": "/cam1/image_raw",
        "T_cn_cnm1": to_cam1.tolist(),
    }
    cam1.update(changes)
    return {"cam0": cam0, "cam1": cam1}


def test_our_yaml(tmp_path) -> None:
    mask = np.zeros((480, 640), np.uint8)
    mask[400:] = 255
    cv2.imwrite(str(tmp_path / "robot.png"), mask)
    content = {
        "distance": 2.5,
        "lenses": {
            "front": {**LENS, "field_of_view": 190, "mask": "robot.png", "turn": -90},
            "back": {
                **LENS,
                "tile": [0, 0.5, 1, 0.5],
                "rotation": [180, 0, 0],
                "position": [0, 0, -0.02],
            },
        },
    }
    rig = read_rig(written(tmp_path, content))
    front, back = rig.lenses
    assert (rig.distance, front.turn, rig.topics) == (2.5, 270, ("a",))
    assert front.camera.field_of_view == 190
    assert front.mask[400:].all()
    assert not front.mask[:400].any()
    np.testing.assert_allclose(back.rotation @ [0, 0, 1], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(back.position, [0, 0, -0.02])


@pytest.mark.parametrize(
    "value",
    [
        [90, 0, 0],
        [0, np.sin(np.pi / 4), 0, np.cos(np.pi / 4)],
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    ],
)
def test_three_ways_to_write_a_turn_to_the_right(value) -> None:
    np.testing.assert_allclose(rotation_of(value) @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_a_camchain_of_kalibr(tmp_path) -> None:
    rig = read_rig(written(tmp_path, camchain()))
    cam0, cam1 = rig.lenses
    assert (cam0.camera.model, cam1.camera.model) == ("equidistant", "eucm")
    assert cam0.camera.size == (1440, 1472)
    assert rig.topics == ("/cam0/image_raw", "/cam1/image_raw")
    assert rig.baseline == pytest.approx(0.1)
    np.testing.assert_allclose(cam0.position, [0, 0, 0.05], atol=1e-9)
    np.testing.assert_allclose(cam1.position, [0, 0, -0.05], atol=1e-9)
    np.testing.assert_allclose(cam1.rotation @ [0, 0, 1], [0, 0, -1], atol=1e-9)


def test_a_camchain_with_poses_to_the_imu_alone(tmp_path) -> None:
    """The same rig, its IMU somewhere else: p_cam = T_cam_imu p_imu."""
    content = camchain()
    imu = np.eye(4)
    imu[:3, :3] = sphere.roll_matrix(0.3) @ sphere.pitch_matrix(1.0)
    imu[:3, 3] = [0.3, -0.2, 0.1]
    step = np.array(content["cam1"].pop("T_cn_cnm1"))
    content["cam0"]["T_cam_imu"] = imu.tolist()
    content["cam1"]["T_cam_imu"] = (step @ imu).tolist()
    expected = read_rig(written(tmp_path, camchain()))
    rig = read_rig(written(tmp_path, content))
    for one, other in zip(rig.lenses, expected.lenses, strict=True):
        np.testing.assert_allclose(one.rotation, other.rotation, atol=1e-9)
        np.testing.assert_allclose(one.position, other.position, atol=1e-9)


def test_a_camchain_with_words_of_ours(tmp_path) -> None:
    (tmp_path / "camchain.yaml").write_text(yaml.safe_dump(camchain()))
    (tmp_path / "rig.yaml").write_text(template("hilti"))
    rig = read_rig(tmp_path / "rig.yaml")
    assert [lens.camera.field_of_view for lens in rig.lenses] == [200, 200]
    assert rig.topics[0] == "/cam0/image_raw/compressed"
    # Upside down: what is up in the lens's picture is down in the world.
    np.testing.assert_allclose(rig.lenses[0].rotation @ [0, 1, 0], [0, -1, 0], atol=1e-9)


@pytest.mark.parametrize("name", [n for n in template_names() if n != "hilti"])
def test_every_template_is_a_rig(tmp_path, name: str) -> None:
    rig = read_rig(written(tmp_path, template(name)))
    assert len(rig.lenses) == {"oak_ffc_4p": 4, "spot": 5}.get(name, 2)
    assert bool(rig.uncalibrated) == (name == "spot")


def test_the_example_beside_the_parameters_is_a_rig() -> None:
    rig = read_rig(Path(__file__).parents[1] / "config" / "rig.yaml")
    assert rig.topics == ("/camera/front/image_raw", "/camera/back/image_raw")
    assert (rig.uncalibrated, rig.warnings()) == ((), [])


def test_the_body_frame_is_read_and_written(tmp_path) -> None:
    content = {"body_frame": "body", "lenses": {"a": {"topic": "a", "calibration": "camera_info"}}}
    rig = read_rig(written(tmp_path, content))
    assert rig.body_frame == read_rig(written(tmp_path, rig_yaml(rig))).body_frame == "body"
    assert read_rig(written(tmp_path, lens())).body_frame == "base_link"


def test_what_is_written_is_read_again(tmp_path) -> None:
    for name in LENSES:
        rig = back_to_back(LENSES[name], 0.02, distance=3.0)
        again = read_rig(written(tmp_path, rig_yaml(rig)))
        assert [one.camera for one in again.lenses] == [one.camera for one in rig.lenses]
        np.testing.assert_allclose(again.lenses[1].rotation, rig.lenses[1].rotation)
        np.testing.assert_allclose(again.lenses[1].position, rig.lenses[1].position)
        assert again.distance == 3.0


def spot(tmp_path):
    return read_rig(
        written(tmp_path, {"lenses": {n: {"topic": n, "calibration": "camera_info"} for n in "ab"}})
    )


# Optical frames seen from a body frame: ahead, and to the left (x ahead, y left, z up).
AHEAD = (-0.5, 0.5, -0.5, 0.5)
LEFT = (-np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))


def test_camera_info_and_tf(tmp_path) -> None:
    camera = camera_from_ros("plumb_bob", (480, 640), [500, 0, 320, 0, 500, 240, 0, 0, 1], [0] * 5)
    poses = {"a": ((0.3, 0.1, 0.5), AHEAD), "b": ((0.1, 0.3, 0.5), LEFT)}
    rig = calibrated_rig(spot(tmp_path), {"a": camera, "b": camera}, poses, "body")
    assert rig.uncalibrated == ()
    np.testing.assert_allclose(rig.lenses[0].rotation, np.eye(3), atol=1e-9)
    # The left lens looks to -x of the optical frame, upright.
    np.testing.assert_allclose(rig.lenses[1].rotation @ [0, 0, 1], [-1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(rig.lenses[1].rotation @ [0, 1, 0], [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(rig.lenses[0].position, [0.1, 0, 0.1], atol=1e-9)


def test_what_a_camera_info_lacks_is_written_and_read_again(tmp_path) -> None:
    said = {"topic": "a", "calibration": "camera_info", "field_of_view": 190.0}
    rig = read_rig(written(tmp_path, {"lenses": {"front": said}}))
    assert read_rig(written(tmp_path, rig_yaml(rig))).lenses[0].field_of_view == 190.0


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((480, 640), True), ((119, 160), True), ((640, 480), False), ((480, 1280), False)],
)
def test_a_mask_has_the_shape_of_its_lens_s_picture(tmp_path, shape, fits: bool) -> None:
    cv2.imwrite(str(tmp_path / "robot.png"), np.zeros(shape, np.uint8))
    file = written(tmp_path, lens(mask="robot.png"))
    if fits:
        assert read_rig(file).lenses[0].mask.shape == shape
        return
    with pytest.raises(MtpanoError, match=r"'front' is .* calibration is 480x640.*another shape"):
        read_rig(file)


@pytest.mark.parametrize("said", [None, 3, "topic", ["topic"]])
def test_what_is_no_lens_beside_kalibr_s_is_said(tmp_path, said) -> None:
    (tmp_path / "kalibr.yaml").write_text(yaml.safe_dump(camchain()))
    content = {"kalibr": "kalibr.yaml", "lenses": {"cam0": said}}
    with pytest.raises(MtpanoError, match=r"lens 'cam0' is .*, expected a mapping"):
        read_rig(written(tmp_path, content))


@pytest.mark.parametrize(
    ("cameras", "poses", "words"),
    [
        ("a", "ab", "'b' has no camera_info yet"),
        ("ab", "a", "no transform from body to the frame of lens 'b'"),
    ],
)
def test_what_camera_info_or_tf_do_not_tell_is_said(tmp_path, cameras, poses, words) -> None:
    camera = camera_from_ros("plumb_bob", (480, 640), [500, 0, 320, 0, 500, 240, 0, 0, 1], [])
    with pytest.raises(MtpanoError, match=words):
        calibrated_rig(
            spot(tmp_path),
            dict.fromkeys(cameras, camera),
            dict.fromkeys(poses, ((0.0, 0.0, 0.0), AHEAD)),
            "body",
        )


def lens(**changes) -> dict:
    return {"lenses": {"front": {**LENS, **changes}}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lenses: [", "is not YAML"),
        ("[1, 2]", "holds list, expected a mapping"),
        ("", "holds NoneType"),
        ({"/**": {"ros__parameters": {}}}, r"keys /\*\*, expected `lenses`"),
        ({"image_width": 640, "camera_matrix": {}}, "expected `lenses`"),
        ({"lenses": 3}, "not a mapping: expected names"),
        ({"lenses": {}}, "0 lenses"),
        ({"lenses": {"front": 3}}, "'front' is 3"),
        ({**lens(), "wiat": 1}, "the key 'wiat'"),
        (lens(fov=200), "'front' has the key 'fov', expected only .*field_of_view"),
        ({"lenses": {"front": {"topic": "a"}}}, "'front': `model` is missing"),
        (lens(model="fov"), "'front': camera model 'fov' is unknown"),
        (lens(size="640"), "'640' is not HEIGHTxWIDTH"),
        (lens(intrinsics=[1, 2]), "2 intrinsics, expected 6"),
        (lens(intrinsics="x"), "intrinsics is 'x', expected a list"),
        (lens(rotation=[0, 0]), r"rotation is \[0, 0\], expected \[yaw, pitch, roll\]"),
        (lens(rotation=[0, 0, 0, 3]), "length 3, expected 1"),
        (lens(position=[0, "a", 0]), "position is 'a', expected a number"),
        (lens(turn=45), "turn 45"),
        (lens(tile=[0, 0, 2, 1]), "fractions"),
        (lens(mask="none.png"), "none.png' does not exist"),
        (lens(field_of_view="wide"), "'wide', expected a number"),
        (camchain(T_cn_cnm1=None), "cam1: T_cn_cnm1 is None"),
        (camchain(camera_model="fov"), "cam1: camera model 'fov'"),
        (camchain(resolution=None), "cam1: resolution is None"),
        (camchain(resolution=[float("inf"), 9]), r"cam1: resolution is \[inf, 9"),
        (camchain(T_cn_cnm1=[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0] * 4]), "0, 0, 0, 1"),
        ({**camchain(), "cam1": None}, "cam1 has no intrinsics"),
        ({"kalibr": "nowhere.yaml"}, "nowhere.yaml"),
        ("lenses: 2026-13-45", "is not YAML: month"),
        ("lenses: 0x_", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        (lens(intrinsics=[10**400, 1, 1, 1]), "intrinsics is too large"),
        (lens(intrinsics=[0.6, 1.1, 1e-300, 1e-300, 1, 1]), "no resolution that a lens can have"),
        (
            lens(model="pinhole", intrinsics=[9, 9, 1, 1], distortion=[1e-320, 0, 0, 0]),
            "correct the",
        ),
        (lens(rotation=[10**400, 0, 0]), "rotation is"),
        ({**lens(), "rotation": np.diag([2, 2, 2]).tolist()}, "yaml: rotation is .*orthonormal"),
        (lens(position=[float("inf"), 0, 0]), r"'front' has position \[inf"),
        (lens(turn="90"), "turn '90', expected 0"),
        (lens(topic=None), "topic is None, expected the name"),
        (lens(calibration="kalibr"), "calibration is 'kalibr', expected camera_info"),
        ({**lens(), "feather": float("inf")}, "feather is inf, expected a finite number"),
    ],
)
def test_a_file_that_is_wrong_is_named_in_one_sentence(tmp_path, content, words: str) -> None:
    with pytest.raises(MtpanoError, match=words) as caught:
        read_rig(written(tmp_path, content))
    assert "rig.yaml" in str(caught.value)


def test_a_missing_file_and_a_lone_camera() -> None:
    with pytest.raises(MtpanoError, match=r"cannot read the rig file /nowhere/rig\.yaml"):
        read_rig("/nowhere/rig.yaml")
    with pytest.raises(MtpanoError, match="unknown template 'burger': expected one of hilti"):
        template("burger")
