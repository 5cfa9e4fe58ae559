"""Points in space against an analytic room, and the cloud files through a reader of our own."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from mtpano_model.clouds.cloud import Cloud, cloud_from_frame
from mtpano_model.clouds.files import write_pcd, write_ply
from mtpano_model.geometry.sphere import rays
from mtpano_model.inference import Frame

# A box around the camera, metres: left and right, ceiling and floor, back and front.
LOW, HIGH = np.array([-2.0, -1.6, -3.0]), np.array([3.5, 0.9, 4.0])


def box_room(height: int = 128, low: np.ndarray = LOW, high: np.ndarray = HIGH) -> Frame:
    ray = rays(height, 2 * height).astype(np.float64)
    with np.errstate(divide="ignore"):
        distance = np.where(ray > 0, high / ray, low / ray)
    axis = distance.argmin(axis=-1)
    normals = -np.sign(ray) * (np.arange(3) == axis[..., None])
    return Frame(
        depth=distance.min(axis=-1).astype(np.float32),
        normals=normals.astype(np.float32),
        labels=(2 * axis + (np.take_along_axis(ray, axis[..., None], -1)[..., 0] > 0)).astype(
            np.uint8
        ),
    )


def colored(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows % 256, columns % 256, (rows + columns) % 256], -1).astype(np.uint8)


def test_a_box_room_has_flat_walls():
    frame = box_room()
    cloud = cloud_from_frame(frame, colored(128, 256))
    for axis in range(3):
        for sign, wall in ((0, LOW[axis]), (1, HIGH[axis])):
            on_wall = cloud.labels == 2 * axis + sign
            assert on_wall.sum() > 100
            assert np.abs(cloud.points[on_wall, axis] - wall).max() < 1e-3
    assert (cloud.points > LOW - 1e-3).all()
    assert (cloud.points < HIGH + 1e-3).all()


def test_up_is_negative_y_right_is_positive_x_and_ahead_is_positive_z():
    cloud = cloud_from_frame(box_room(), colored(128, 256))
    points = cloud.points.reshape(128, 256, 3)
    assert np.allclose(points[0].mean(axis=0), [0, LOW[1], 0], atol=0.03)  # zenith: the ceiling
    assert np.allclose(points[-1].mean(axis=0), [0, HIGH[1], 0], atol=0.03)  # nadir: the floor
    assert np.allclose(points[63:65, 127:129].mean(axis=(0, 1)), [0, 0, HIGH[2]], atol=1e-3)
    assert points[64, 192, 0] == pytest.approx(HIGH[0], abs=1e-3)
    assert points[64, 64, 0] == pytest.approx(LOW[0], abs=1e-3)


def test_points_without_a_surface_are_nan_and_keep_their_label():
    frame = box_room(16)
    frame.depth[3, :3] = np.nan, np.inf, -np.inf
    frame.labels[3, 0] = 255
    cloud = cloud_from_frame(frame, colored(16, 32))
    row = slice(3 * 32, 3 * 32 + 3)
    assert np.isnan(cloud.points[row]).all()
    assert cloud.labels[row].tolist() == [255, *frame.labels[3, 1:3].tolist()]
    assert len(cloud) == 16 * 32
    assert len(cloud.finite()) == 16 * 32 - 3


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_a_stride_takes_pixels_with_their_own_rays(stride):
    frame = box_room(32)
    full = cloud_from_frame(frame, colored(32, 64)).points.reshape(32, 64, 3)
    cloud = cloud_from_frame(frame, colored(32, 64), stride)
    rows, columns = cloud.grid
    begin = stride // 2
    expected = full[begin::stride, begin::stride]
    assert expected.shape == (rows, columns, 3)
    np.testing.assert_array_equal(cloud.points.reshape(expected.shape), expected)


def test_colours_are_sampled_from_the_input_at_any_size():
    frame = box_room(16)
    picture = np.kron(colored(16, 32), np.ones((4, 4, 1), np.uint8))
    cloud = cloud_from_frame(frame, picture)
    np.testing.assert_array_equal(cloud.colors.reshape(16, 32, 3), colored(16, 32))


# --- files: readers written from the format pages, not from the writers --------------------------


def read_header(data: bytes, end: bytes) -> tuple[list[str], bytes]:
    position = data.index(end) + len(end)
    position = data.index(b"\n", position) + 1
    return data[:position].decode("ascii").splitlines(), data[position:]


def read_ply(path: Path) -> dict[str, np.ndarray]:
    lines, body = read_header(path.read_bytes(), b"end_header")
    assert lines[0] == "ply"
    assert "format binary_little_endian 1.0" in lines
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    properties = [line.split()[1:] for line in lines if line.startswith("property")]
    codes = {"float": "f", "uchar": "B", "int": "i", "uint": "I"}
    record = struct.Struct("<" + "".join(codes[kind] for kind, _ in properties))
    assert len(body) == record.size * count
    rows = list(record.iter_unpack(body))
    return {name: np.array([row[i] for row in rows]) for i, (_, name) in enumerate(properties)}


def read_pcd(path: Path) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
    lines, body = read_header(path.read_bytes(), b"\nDATA")
    header = {line.split()[0]: line.split()[1:] for line in lines if not line.startswith("#")}
    assert header["VERSION"] == ["0.7"]
    assert header["DATA"] == ["binary"]
    assert set(header["COUNT"]) == {"1"}
    assert len(header["VIEWPOINT"]) == 7
    codes = {("F", "4"): "f", ("U", "4"): "I"}
    kinds = zip(header["TYPE"], header["SIZE"], strict=True)
    record = struct.Struct("<" + "".join(codes[kind] for kind in kinds))
    height, width = int(header["HEIGHT"][0]), int(header["WIDTH"][0])
    assert int(header["POINTS"][0]) == height * width == len(body) // record.size
    rows = list(record.iter_unpack(body))
    columns = {name: np.array([row[i] for row in rows]) for i, name in enumerate(header["FIELDS"])}
    packed = [struct.unpack("<I", struct.pack("<f", value))[0] for value in columns["rgb"]]
    columns["packed"] = np.array(packed)
    return columns, (height, width)


@pytest.fixture
def cloud() -> Cloud:
    frame = box_room(16)
    frame.depth[2, 5] = np.nan
    frame.normals[4, 4] = np.nan
    return cloud_from_frame(frame, colored(16, 32))


def test_a_ply_file_holds_the_finite_points(tmp_path, cloud):
    write_ply(tmp_path / "c.ply", cloud)
    read = read_ply(tmp_path / "c.ply")
    finite = cloud.finite()
    assert len(read["x"]) == 16 * 32 - 1
    for axis, name in enumerate("xyz"):
        np.testing.assert_array_equal(read[name], finite.points[:, axis])
        np.testing.assert_array_equal(read[f"n{name}"], np.nan_to_num(finite.normals[:, axis]))
    for channel, name in enumerate(("red", "green", "blue")):
        np.testing.assert_array_equal(read[name], finite.colors[:, channel])
    np.testing.assert_array_equal(read["label"], finite.labels)


def test_a_pcd_file_keeps_the_grid_and_packs_colours_as_pcl(tmp_path, cloud):
    write_pcd(tmp_path / "c.pcd", cloud)
    read, grid = read_pcd(tmp_path / "c.pcd")
    assert grid == (16, 32)
    for axis, name in enumerate("xyz"):
        np.testing.assert_array_equal(read[name], cloud.points[:, axis])
        np.testing.assert_array_equal(read[f"normal_{name}"], cloud.normals[:, axis])
    red, green, blue = cloud.colors.astype(int).T
    np.testing.assert_array_equal(read["packed"], red * 65536 + green * 256 + blue)
    np.testing.assert_array_equal(read["label"], cloud.labels)
    assert np.isnan(read["x"][2 * 32 + 5])


def test_a_pcd_file_of_a_cloud_without_grid_is_one_row(tmp_path, cloud):
    write_pcd(tmp_path / "c.pcd", cloud.finite())
    assert read_pcd(tmp_path / "c.pcd")[1] == (1, 16 * 32 - 1)


def test_an_empty_cloud_is_written_too(tmp_path):
    frame = box_room(8)
    frame.depth[:] = np.nan
    cloud = cloud_from_frame(frame, colored(8, 16)).finite()
    write_ply(tmp_path / "c.ply", cloud)
    write_pcd(tmp_path / "c.pcd", cloud)
    assert len(read_ply(tmp_path / "c.ply")["x"]) == 0
    assert read_pcd(tmp_path / "c.pcd")[1] == (1, 0)
