"""One picture gives one answer at every door: topic, bag, file, folder, data set, mask, store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import odd_pictures as odd
import pytest
from bag_files import T, header, write_bag
from fisheye_views import bundled
from odd_pictures import BROKEN, WHOLE, encoded, scene, with_segment, xmp

from mtpano_model.data.folder import FolderPanoramas
from mtpano_model.data.panorama import Panorama
from mtpano_model.data.panorama_files import read_rgb
from mtpano_model.data.pseudo_encoding import decode_rgb
from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.body_mask import load_mask
from mtpano_model.pictures.crop import FILLING
from mtpano_model.pictures.decode import decode_panorama, decode_picture
from mtpano_model.pictures.files import read_panorama
from mtpano_model.pictures.messages import read_lens, read_message
from mtpano_model.shots.bag import read_images
from mtpano_ros.tools.sources import open_source


def topic(data: bytes, _: Path) -> np.ndarray:
    return read_message(SimpleNamespace(format="jpeg", data=data)).rgb


def encoded_image(data: bytes, _: Path) -> np.ndarray:
    return read_message(SimpleNamespace(encoding="mjpeg", data=data)).rgb


def bag(data: bytes, folder: Path) -> Path:
    message = T["sensor_msgs/msg/CompressedImage"](header(1), "jpeg", np.frombuffer(data, np.uint8))
    return write_bag(folder / "bag", {"/image": [message]})


def played_bag(data: bytes, folder: Path) -> np.ndarray:
    return next(read_images(bag(data, folder)))[1]


def labelled_bag(data: bytes, folder: Path) -> np.ndarray:
    return one_of(BagPanoramas(bag(data, folder)))


def file(data: bytes, folder: Path) -> Path:
    path = folder / "in" / "picture.jpg"  # what it is, its bytes say
    path.parent.mkdir()
    path.write_bytes(data)
    return path


def labelled_folder(data: bytes, folder: Path) -> np.ndarray:
    return one_of(FolderPanoramas(file(data, folder).parent))


def one_of(source) -> np.ndarray:
    (item,) = source.panoramas()
    if isinstance(item, Panorama):
        return item.image
    raise MtpanoError(item.reason)


def mask(data: bytes, folder: Path) -> np.ndarray:
    """White where a grey picture of the mask is light: three equal channels of it."""
    return np.repeat(load_mask(file(data, folder))[..., None], 3, -1) * np.uint8(255)


DOORS: dict[str, Callable[[bytes, Path], np.ndarray]] = {
    "topic": topic,
    "jpeg in an Image": encoded_image,
    "player's bag": played_bag,
    "label's bag": labelled_bag,
    "predict": lambda data, folder: read_panorama(file(data, folder)).rgb,
    "label's folder": labelled_folder,
    "player's file": lambda data, folder: next(open_source(file(data, folder)).frames()),
    "player's folder": lambda data, folder: next(open_source(file(data, folder).parent).frames()),
    "data set": lambda data, folder: read_rgb(file(data, folder), None),
    "label store": lambda data, _: decode_rgb(data),
    "mask": mask,
}
# The doors that ask for a panorama; the others take any shape, or have a check of their own.
PANORAMIC = ("topic", "jpeg in an Image", "label's bag", "predict", "label's folder")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_picture_shows_the_same_everywhere(name, door, tmp_path):
    make, off = WHOLE[name]
    got = DOORS[door](make(), tmp_path).astype(int)
    expected = scene().astype(int)
    if door == "mask":
        grey = expected @ [0.299, 0.587, 0.114]
        clear = np.abs(grey - 128) > 12
        assert (got[..., 0] == np.where(grey >= 128, 255, 0))[clear].all()
        return
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= off


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_cut_damaged_or_vast_is_refused_everywhere(name, door, tmp_path, caplog):
    make, word = BROKEN[name]
    with pytest.raises((MtpanoError, StopIteration)) as caught:
        DOORS[door](make(), tmp_path)
    told = caplog.text + str(caught.value)
    assert any(part in told for part in word.split("|")), told


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("height", "width"), [(64, 127), (512, 1023), (257, 512), (256, 514)])
def test_two_to_one_by_a_hair_is_a_panorama(height, width, door, tmp_path):
    data = encoded("png", scene(height, width))
    assert DOORS[door](data, tmp_path).shape[:2] == (height, width)


@pytest.mark.parametrize("door", PANORAMIC)
@pytest.mark.parametrize(
    ("height", "width", "word"),
    [(64, 125, "2:1"), (100, 206, "2:1"), (128, 128, "stereo"), (64, 256, "stereo"),
     (96, 128, "nv12"), (128, 64, "2:1")],
)  # fmt: skip
def test_another_shape_is_refused_with_its_likely_cause(height, width, word, door, tmp_path):
    with pytest.raises(MtpanoError, match=rf"{height}x{width}.*{word}"):
        DOORS[door](encoded("png", scene(height, width)), tmp_path)


@pytest.mark.parametrize("door", [*PANORAMIC, "player's file", "player's folder", "player's bag"])
def test_sixteen_bits_of_grey_are_depth(door, tmp_path, caplog):
    with pytest.raises((MtpanoError, StopIteration)) as caught:
        DOORS[door](encoded("png", scene()[..., 0].astype(np.uint16) * 257), tmp_path)
    assert "single channel" in caplog.text + str(caught.value)


def cropped(top: int, left: int, height: int, width: int, full=(64, 128), scale: int = 1) -> bytes:
    """A JPEG that shows a part of scene(), with what a camera writes of it."""
    about = xmp(
        f'GPano:FullPanoWidthPixels="{full[1] * scale}" '
        f'GPano:FullPanoHeightPixels="{full[0] * scale}" '
        f'GPano:CroppedAreaImageWidthPixels="{width * scale}" '
        f'GPano:CroppedAreaImageHeightPixels="{height * scale}" '
        f'GPano:CroppedAreaLeftPixels="{left * scale}" GPano:CroppedAreaTopPixels="{top * scale}"'
    )
    part = scene()[top : top + height, left : left + width]
    return with_segment(about, encoded("jpg", np.ascontiguousarray(part)))


CROPS = {
    "a band": (10, 0, 40, 128),
    "a part": (8, 30, 40, 70),
    "a part that is 2:1 itself": (16, 32, 32, 64),
    "a part that is square": (0, 50, 64, 64),
}


@pytest.mark.parametrize("door", [*PANORAMIC, "player's file", "player's folder", "player's bag"])
@pytest.mark.parametrize("scale", [1, 3])  # the metadata may be of a larger picture
@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
def test_a_crop_is_put_back_where_it_was(crop, scale, door, tmp_path):
    got = DOORS[door](cropped(*crop, scale=scale), tmp_path)
    top, left, height, width = crop
    place = slice(top, top + height), slice(left, left + width)
    assert got.shape == (64, 128, 3)
    assert np.abs(got[place].astype(int) - scene()[place]).max() <= 12
    outside = np.ones((64, 128), bool)
    outside[place] = False
    assert (got[outside] == FILLING).all()


def test_a_crop_tells_what_is_seen_and_is_decoded_no_larger_than_needed():
    picture = decode_panorama(
        cropped(8, 32, 48, 64), needed=lambda size: (size[0] // 2, size[1] // 2)
    )
    assert (picture.size, picture.pixels.shape) == ((64, 128), (32, 64, 3))
    assert [note.kind for note in picture.notes] == ["crop"]
    expected = np.zeros((32, 64), bool)
    expected[4:28, 16:48] = True
    assert (picture.seen == expected).all()


def test_a_mask_of_a_crop_hides_nothing_where_nothing_was(tmp_path):
    covering = load_mask(file(cropped(0, 0, 64, 64), tmp_path))
    assert covering.shape == (64, 128)
    assert not covering[:, 64:].any()


@pytest.mark.parametrize("door", PANORAMIC)
@pytest.mark.parametrize(
    ("crop", "full"),
    [((10, 0, 40, 128), (64, 100)), ((10, 0, 40, 128), (40, 128)), ((30, 0, 34, 128), (50, 100))],
)
def test_a_crop_that_does_not_fit_its_metadata_says_so(crop, full, door, tmp_path):
    with pytest.raises(MtpanoError, match=r"expected an equirectangular 2:1 panorama"):
        DOORS[door](cropped(*crop, full=full), tmp_path)


def test_a_hostile_crop_allocates_nothing(tmp_path):
    vast = cropped(0, 0, 40, 128, full=(10**6, 2 * 10**6))
    with pytest.raises(MtpanoError, match="at most as many as 8192x16384"):
        topic(vast, tmp_path)


def raw_topic(data: bytes, _: Path) -> np.ndarray:
    """The same picture as a raw message."""
    rgb = decode_picture(data).rgb
    height, width = rgb.shape[:2]
    return read_message(
        SimpleNamespace(encoding="rgb8", height=height, width=width, step=3 * width,
                        data=rgb.tobytes(), is_bigendian=0)
    ).rgb  # fmt: skip


@pytest.mark.parametrize(
    "door",
    [lambda data, folder, name=name: DOORS[name](data, folder)
     for name in (*PANORAMIC, "player's file", "player's folder", "player's bag")]
    + [raw_topic],
)  # fmt: skip
@pytest.mark.parametrize("name", ["hall", "workshop"])
def test_of_top_bottom_stereo_the_left_eye_is_taken(name, door, tmp_path):
    left = cv2.resize(bundled(name), (256, 128), interpolation=cv2.INTER_AREA)
    right = np.clip(np.roll(left, 3, 1) * 1.05, 0, 255).astype(np.uint8)  # nearer, and lighter
    got = door(encoded("png", np.vstack([left, right])), tmp_path)
    np.testing.assert_array_equal(got, left)


@pytest.mark.parametrize("name", ["apartment", "hall", "lab", "warehouse", "workshop"])
def test_an_ordinary_square_picture_is_no_stereo(name):
    panorama = bundled(name)
    for square in (panorama[:, :512], panorama[:, 512:], cv2.resize(panorama, (512, 512))):
        with pytest.raises(MtpanoError, match="top-bottom stereo"):
            decode_panorama(encoded("png", np.ascontiguousarray(square)))
        (note,) = decode_panorama(encoded("png", np.ascontiguousarray(square)), True).notes
        assert note.kind == "shape"


def test_a_lens_may_have_any_shape():
    square = np.vstack([scene(64, 128)] * 2)
    message = SimpleNamespace(format="png", data=encoded("png", square))
    np.testing.assert_array_equal(read_lens(message).rgb, square)


def circles() -> bytes:
    rows, columns = np.mgrid[:256, :512]
    inside = (rows - 128) ** 2 + (columns % 256 - 128) ** 2 < 126**2
    return encoded("png", np.repeat(inside[..., None], 3, -1).astype(np.uint8) * np.uint8(150))


ROLLED = "><GPano:PoseRollDegrees>-20</GPano:PoseRollDegrees><a"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("orientation", lambda: odd.turned_jpeg(6)),
        ("tilt", lambda: with_segment(xmp('GPano:PosePitchDegrees="17.5"'))),
        ("tilt", lambda: with_segment(xmp(ROLLED))),
        ("projection", lambda: with_segment(xmp('GPano:ProjectionType="cubemap"'))),
        ("fisheye", circles),
    ],
)  # fmt: skip
def test_what_a_person_should_know_is_a_note(kind, data, tmp_path, caplog):
    assert [note.kind for note in decode_panorama(data()).notes] == [kind]
    labelled_folder(data(), tmp_path)  # told in the log, and taken
    assert "picture.jpg: it" in caplog.text


@pytest.mark.parametrize(
    "data",
    [lambda: odd.JPEG, lambda: with_segment(xmp('GPano:PosePitchDegrees="0.4"')),
     lambda: encoded("png", np.zeros((64, 128, 3), np.uint8)),
     lambda: encoded("png", cv2.rectangle(scene(), (0, 50), (128, 64), (0, 0, 0), -1)),
     lambda: with_segment(xmp('GPano:PosePitchDegrees="NaN" GPano:PoseRollDegrees="wide"'))],
)  # fmt: skip
def test_an_ordinary_panorama_has_no_notes(data):
    assert decode_panorama(data()).notes == ()


def test_a_picture_of_another_shape_that_is_allowed_says_so():
    (note,) = decode_panorama(encoded("png", scene(64, 64)), allow_non_2to1=True).notes
    assert note.kind == "shape"
    assert "squeezed" in note.text


def test_a_bomb_allocates_nothing(tmp_path):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MtpanoError):
        topic(odd.oversized_png(30000, 15000), tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
