"""The cloud in the message's memory, read back field by field, against analytic geometry."""

from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from std_msgs.msg import Header

from mtpano_model.clouds.cloud import cloud_from_frame
from mtpano_model.geometry.sphere import rays
from mtpano_model.inference.frame import Frame
from mtpano_ros.outputs.messages import cloud_message
from mtpano_ros.outputs.point_cloud import FIELDS, POINT_STEP, CloudPacker, cloud_size, voxel_choice

# A room around the camera, metres to the walls: right, left, below, above, ahead, behind.
RIGHT, LEFT, BELOW, ABOVE, AHEAD, BEHIND = 2.0, 1.5, 1.6, 1.1, 4.0, 3.0
FORMATS = {7: "f", 6: "I"}


def box_room(height=128):
    """The room's Frame, exactly; labels: the wall each ray meets (0..5, in the order above)."""
    ray = rays(height, 2 * height).astype(np.float64)
    with np.errstate(divide="ignore"):
        reach = np.stack(
            [
                np.where(ray[..., axis] * sign > 0, wall / np.abs(ray[..., axis]), np.inf)
                for axis, sign, wall in (
                    (0, 1, RIGHT), (0, -1, LEFT), (1, 1, BELOW), (1, -1, ABOVE), (2, 1, AHEAD),
                    (2, -1, BEHIND),
                )
            ]
        )  # fmt: skip
    labels = reach.argmin(axis=0).astype(np.uint8)
    inward = np.array(
        [[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]], np.float32
    )
    return Frame(reach.min(axis=0).astype(np.float32), inward[labels], labels)


def picture(height=128):
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (height, 2 * height, 3), np.uint8)


@pytest.fixture(params=["planes", "compiled"])
def pack(request):
    """Both ways to pack: the plain one, and numba's where it is installed."""
    if request.param == "compiled":
        pytest.importorskip("numba", reason="numba is not installed: pip install numba")
    packer = CloudPacker(compiled=request.param == "compiled")

    def packed(frame, rgb, order="rgb", **options):
        shape = cloud_size(frame.size, options.get("stride", 1))
        out = np.full((*shape, 8), 7.0, np.float32)
        packer.pack(frame, rgb, order, out, **options)
        return out

    return packed


def read(packed):
    """Field name -> array, by the PointFields alone."""
    rows, columns = packed.shape[:2]
    raw = packed.tobytes()
    assert len(raw) == rows * columns * POINT_STEP
    return {
        field.name: np.array(
            [
                struct.unpack_from("<" + FORMATS[field.datatype], raw, start + field.offset)[0]
                for start in range(0, len(raw), POINT_STEP)
            ]
        ).reshape(rows, columns)
        for field in FIELDS
    }


def test_walls_of_the_box_room_are_flat(pack):
    frame = box_room()
    points = read(pack(frame, picture()))
    walls = (
        ("x", RIGHT), ("x", -LEFT), ("y", BELOW), ("y", -ABOVE), ("z", AHEAD), ("z", -BEHIND),
    )  # fmt: skip
    for label, (axis, position) in enumerate(walls):
        on_wall = frame.labels == label
        assert on_wall.sum() > 100
        assert np.abs(points[axis][on_wall] - position).max() < 1e-3
    assert points["y"][0].max() < 0, "straight up is y < 0"
    assert points["z"][64, 128] > 0, "the middle of the picture is ahead"
    assert points["x"][64, 192] > 0, "the right of the picture is right"


def test_normals_colours_and_labels_stay_with_their_pixel(pack):
    frame, rgb = box_room(32), picture(32)
    points = read(pack(frame, rgb))
    for axis, name in enumerate("xyz"):
        assert np.array_equal(points[f"normal_{name}"], frame.normals[..., axis])
    assert np.array_equal(points["label"], frame.labels)
    bits = points["rgb"].astype(np.float32).view(np.uint32)
    unpacked = np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=-1)
    assert np.array_equal(unpacked, rgb)
    assert not np.any(bits >> 24)


def test_the_reader_that_users_have_reads_the_cloud(pack):
    pytest.importorskip("sensor_msgs_py", reason="sensor_msgs_py is not installed: source ROS 2")
    from sensor_msgs_py.point_cloud2 import read_points

    frame, rgb = box_room(32), picture(32)
    packed = pack(frame, rgb)
    message = cloud_message(Header(), packed.shape[:2])
    message.data = packed.tobytes()
    points = read_points(message, skip_nans=True)
    distance = np.sqrt(points["x"] ** 2 + points["y"] ** 2 + points["z"] ** 2)
    np.testing.assert_allclose(distance.ravel(), frame.depth.ravel(), rtol=1e-5)
    assert np.array_equal(points["label"].ravel(), frame.labels.ravel())


def test_bgr_pictures_give_the_same_colours(pack):
    frame, rgb = box_room(32), picture(32)
    swapped = pack(frame, np.ascontiguousarray(rgb[..., ::-1]), order="bgr")
    assert swapped.tobytes() == pack(frame, rgb).tobytes()


def test_body_frame_is_forward_left_up(pack):
    frame = box_room(32)
    optical = read(pack(frame, picture(32)))
    body = read(pack(frame, picture(32), convention="body"))
    for kind in ("", "normal_"):
        assert np.array_equal(body[f"{kind}x"], optical[f"{kind}z"])
        assert np.array_equal(body[f"{kind}y"], -optical[f"{kind}x"])
        assert np.array_equal(body[f"{kind}z"], -optical[f"{kind}y"])
    assert body["z"][0].min() > 0, "straight up is z > 0"


def test_points_without_a_surface_are_nan_and_keep_their_label(pack):
    frame = box_room(32)
    frame.depth[0, 0], frame.depth[1, 1], frame.depth[2, 2] = np.nan, np.inf, -np.inf
    frame.labels[0, 0] = 255
    points = read(pack(frame, picture(32)))
    missing = np.zeros((32, 64), bool)
    missing[[0, 1, 2], [0, 1, 2]] = True
    for axis in "xyz":
        assert np.array_equal(np.isnan(points[axis]), missing)
    assert points["label"][0, 0] == 255
    assert points["label"][1, 1] == frame.labels[1, 1]


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("height", [32, 33])
def test_strides_agree_with_the_plain_cloud(pack, stride, height):
    frame, rgb = box_room(height), picture(height)
    packed = pack(frame, rgb, stride=stride)
    plain = cloud_from_frame(frame, rgb, stride)
    assert packed.shape[:2] == plain.grid
    assert np.allclose(packed[..., :3].reshape(-1, 3), plain.points, atol=2e-6)
    assert np.array_equal(packed[..., 4:7].reshape(-1, 3), plain.normals)
    assert np.array_equal(packed.view(np.uint32)[..., 7].ravel(), plain.labels)


def test_a_cloud_wider_than_a_band_is_whole(pack):
    frame, rgb = box_room(300), picture(300)
    packed = pack(frame, rgb)
    plain = cloud_from_frame(frame, rgb)
    assert np.allclose(packed[..., :3].reshape(-1, 3), plain.points, atol=2e-6)


def test_labels_of_many_classes_fit(pack):
    frame = box_room(32)
    frame.labels = frame.labels.astype(np.uint16) + 60000
    assert read(pack(frame, picture(32)))["label"].max() == 60005


def test_voxels_keep_one_measured_point_each(pack):
    frame = box_room(64)
    frame.depth[:4] = np.nan
    points = pack(frame, picture(64)).reshape(-1, 8)
    chosen = voxel_choice(points, 0.5)
    cells = np.floor(points[:, :3] / 0.5)
    cells = cells[np.isfinite(cells).all(axis=1)]
    assert len(chosen) == len(np.unique(cells, axis=0))
    assert len(np.unique(np.floor(points[chosen, :3] / 0.5), axis=0)) == len(chosen)
    assert np.isfinite(points[chosen, :3]).all()


def test_voxels_of_nothing_are_nothing():
    assert len(voxel_choice(np.full((10, 8), np.nan, np.float32), 0.1)) == 0


def test_both_ways_agree_to_the_bit():
    pytest.importorskip("numba", reason="numba is not installed: pip install numba")
    frame, rgb = box_room(64), picture(64)
    frame.depth[::5, ::3], frame.depth[::7, ::4] = np.nan, np.inf
    for convention in ("optical", "body"):
        outs = [np.empty((64, 128, 8), np.float32) for _ in range(2)]
        for out, compiled in zip(outs, (False, True), strict=True):
            CloudPacker(compiled).pack(frame, rgb, "bgr", out, convention)
        assert outs[0].tobytes() == outs[1].tobytes()
