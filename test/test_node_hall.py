"""Rendered rooms shown as halls: the same pictures, everything three times as large."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from node_harness import image, parameters, robot

from mtpano_ros.tools.reading import image_array

FRAMES = 12
SCALE = 3.0
# Apart by more than what the factor is smoothed over: each room is a place of its own.
APART = 60_000_000_000


@pytest.fixture(scope="module")
def rooms(shared):
    """(picture, depth in metres with NaN, the camera's height) of some."""
    folder = shared / "data" / "rooms"
    if not folder.is_dir():
        pytest.skip(f"the rendered rooms are absent: {folder}")
    return list(read_rooms(folder))


def read_rooms(folder):
    lines = (folder / "index.jsonl").read_text().splitlines()
    for line in lines[:: len(lines) // FRAMES][:FRAMES]:
        entry = json.loads(line)
        picture = cv2.imread(str(folder / f"{entry['name']}.jpg"))
        depth = cv2.imread(str(folder / f"{entry['name']}_depth.png"), cv2.IMREAD_UNCHANGED)
        metres = np.where(depth > 0, depth / np.float32(1000), np.nan)
        yield picture, metres, entry["camera_height_m"]


def error(bot, rooms, scale, with_height):
    """AbsRel of the node's depth in rooms of `scale` times their size, mean over the frames."""
    bot.listen("depth")
    errors = []
    for number, (picture, metres, height) in enumerate(rooms, 1):
        given = f"{height * scale:.4f}" if with_height else ""
        (done,) = bot.node.set_parameters(parameters(camera_height=given))
        assert done.successful
        bot.process(image(picture, number * APART, "bgr8"))
        depth, true = image_array(bot.outputs("depth", number)[-1]), metres * scale
        known = np.isfinite(depth) & np.isfinite(true)
        errors.append((np.abs(depth - true) / true)[known].mean())
    return np.mean(errors)


@pytest.mark.slow
def test_a_hall_is_as_right_as_a_room_where_the_camera_s_height_is_known(rooms):
    found = {}
    for name, *case in (("room", 1.0, False), ("hall", SCALE, False), ("told", SCALE, True)):
        with robot("default", outputs__size="256x512") as bot:
            bot.activate()
            found[name] = error(bot, rooms, *case)
    assert found["hall"] > 0.6
    assert found["told"] < 1.1 * found["room"], found
