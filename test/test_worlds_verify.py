"""Verifying what was rendered, a drive's bag, and the overview."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import worlds_rendering
from worlds_rendering import entries, render

from mtpano_model.worlds.shoot import Settings
from mtpano_model.worlds.verify import verify

flat_blender, rendered = worlds_rendering.flat_blender, worlds_rendering.rendered


def test_verify_passes_what_is_right(rendered: Path) -> None:
    report, good = verify(rendered)
    assert good, report
    assert "floor: 100.0 %" in report


@pytest.mark.parametrize("fault", ["half a pixel", "mirrored", "millimetres", "normals"])
def test_verify_finds_what_is_wrong(rendered: Path, tmp_path: Path, fault: str) -> None:
    folder = shutil.copytree(rendered, tmp_path / "set")
    for path in folder.glob("*_depth.png" if fault != "normals" else "*_normal.png"):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if fault == "half a pixel":
            picture = np.roll(picture, 1, 0)
        elif fault == "mirrored":
            picture = picture[::-1]
        elif fault == "millimetres":
            picture = np.where(picture > 0, picture + 20, 0).astype(np.uint16)
        else:
            picture = np.roll(picture, 1, -1)  # another order of axes
        cv2.imwrite(str(path), picture)
    report, good = verify(folder)
    assert not good, report


def test_a_drive_s_bag_agrees_with_its_frames(tmp_path: Path) -> None:
    rosbags = pytest.importorskip("rosbags.highlevel")
    settings = Settings((64, 128), "train", 2, 8, 1, "test", 1.5)
    assert render(tmp_path / "set", settings, worlds=[("meeting", 0)]) == 15
    frames = entries(tmp_path / "set")
    with rosbags.AnyReader([tmp_path / "set" / "meeting-4-00000_bag"]) as bag:
        from rosbags.typesys import Stores, get_typestore

        store = get_typestore(Stores.ROS2_HUMBLE)
        seen: dict[str, list[Any]] = {}
        for connection, stamp, raw in bag.messages():
            message = store.deserialize_cdr(raw, connection.msgtype)
            seen.setdefault(connection.topic, []).append((stamp, message))
    assert {t: len(m) for t, m in seen.items()} == dict.fromkeys(
        ("/image_raw/compressed", "/truth/depth", "/odom", "/tf"), 15
    )
    first = seen["/odom"][0][0]
    for number, (frame, (stamp, odometry), (_, tf)) in enumerate(
        zip(frames, seen["/odom"], seen["/tf"], strict=True)
    ):
        assert stamp - first == number * 100_000_000
        x, y, heading = frame["base_xy_heading"]
        assert (odometry.pose.pose.position.x, odometry.pose.pose.position.y) == (x, y)
        base, camera = (matrix(t.transform) for t in tf.transforms)
        world_from_camera = base @ camera
        np.testing.assert_allclose(world_from_camera[:3, :3], frame["world_from_camera"], atol=1e-6)
        np.testing.assert_allclose(world_from_camera[:3, 3], frame["camera_position_m"], atol=1e-5)
        turned = base[:2, :2] @ (1, 0)
        np.testing.assert_allclose(turned, (np.cos(heading), np.sin(heading)), atol=1e-6)
    # The twist is the derivative of the pose, in the robot's own frame.
    places = np.array([f["base_xy_heading"] for f in frames])
    speed = [m.twist.twist.linear.x for _, m in seen["/odom"]]
    moved = np.hypot(*(places[2:, :2] - places[:-2, :2]).T) / 0.2
    assert np.median(np.abs(np.array(speed[1:-1]) - moved)) < 0.05


def matrix(transform: Any) -> np.ndarray:
    """4x4 of a ROS transform, by the textbook formula."""
    q = transform.rotation
    x, y, z, w = q.x, q.y, q.z, q.w
    result = np.eye(4)
    result[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    t = transform.translation
    result[:3, 3] = (t.x, t.y, t.z)
    return result


def test_the_overview_counts_what_the_views_show(rendered: Path, tmp_path: Path) -> None:
    from mtpano_model.worlds.overview import overview

    folder = shutil.copytree(rendered, tmp_path / "set")
    table = overview(folder, rendered)
    heights = sorted(e["camera_height_m"] for e in entries(rendered))
    assert f"| {heights[-1]:.3g} |" in next(r for r in table.splitlines() if "camera height" in r)
    sheet = cv2.imread(str(folder / "overview.jpg"))
    assert sheet.shape == (160, 6 * 320, 3)
    assert (folder / "spread.png").exists()
