"""Single pictures levelled and scaled by what is seen in them."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from fake_model import write_fake_model
from robot_room import HEIGHT, TILTS, down_after, seen
from room_answers import SIZE, answer, ray_picture

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.inference import ValueRules, load_estimator
from mtpano_model.robot.upright import UprightPredictor


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return write_fake_model(folder / "room.onnx", size=SIZE, decoder_stride=1)


def seeing(estimator, scale):
    """Its network sees the room whichever way the picture is turned: up is where green is least."""

    def infer(batch):
        rays = batch[0].reshape(-1, 3).astype(float) / 127.5 - 1
        top = rays[: 2 * SIZE[1]].mean(0)  # where the picture's own zenith looks, in the room
        camera_down = -top / np.linalg.norm(top)
        return answer(scale, tuple(_down_in_camera(camera_down)))

    def _down_in_camera(room_from_up):
        # The room's down in the camera: the camera was tilted without a turn about the vertical.
        x, y, z = room_from_up
        return np.array([-x, y, -z])

    estimator.infer = infer


@pytest.mark.parametrize(("axis", "angle"), [TILTS[0], TILTS[4], TILTS[8]])
@pytest.mark.parametrize("scale", [1.0, 1 / 3])
def test_a_tilted_picture_comes_back_in_its_own_frame_and_in_metres(model, axis, angle, scale):
    down = down_after(axis, angle)
    with load_estimator(model) as estimator:
        seeing(estimator, scale)
        upright = UprightPredictor(estimator, True, HEIGHT)
        found = upright.predict(ray_picture(down), SIZE, ValueRules())
    assert found.tilt == pytest.approx(angle, abs=1)
    assert found.factor == pytest.approx(1 / scale, rel=0.02)
    true, _, labels = seen(down, SIZE)
    depth = found.frame.depth
    inside = np.isfinite(true) & np.isfinite(depth)
    assert (np.abs(depth / true - 1) < 0.03)[inside].mean() > 0.93
    assert (found.frame.labels == labels)[inside].mean() > 0.95


def test_a_height_that_cannot_be_is_refused_and_predict_takes_both(model, tmp_path, capsys):
    with load_estimator(model) as estimator, pytest.raises(MtpanoError, match="camera height"):
        UprightPredictor(estimator, False, -1.0)
    import cv2

    cv2.imwrite(str(tmp_path / "room.png"), ray_picture()[..., ::-1])
    call = ["predict", str(tmp_path / "room.png"), "--model", str(model), "--no-panels"]
    call += ["--out", str(tmp_path / "out")]
    assert main([*call, "--level", "--camera-height", "1.2"]) == 0
    assert main([*call, "--camera-height", "0"]) == 1
    assert "camera height 0 m cannot be" in capsys.readouterr().err


def test_the_labelspace_is_written_for_the_model(model, tmp_path, capsys):
    out = tmp_path / "space.yaml"
    assert main(["labelspace", "--model", str(model), "--out", str(out)]) == 0
    assert yaml.safe_load(out.read_text())["total_semantic_labels"] == 18
    assert "18 classes" in capsys.readouterr().out
    assert main(["labelspace", "--model", str(model), "--out", str(tmp_path / "no" / "x")]) == 1
