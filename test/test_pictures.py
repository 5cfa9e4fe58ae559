"""Colours, text, the panel and a report's pictures: a person must see what the arrays say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from test_cloud import box_room, colored

from mtpano_model.classes import load_class_set
from mtpano_model.evaluation.report_pictures import confusion_picture
from mtpano_model.geometry.sphere import rays
from mtpano_model.inference import Frame, drawing
from mtpano_model.inference.colors import OPEN_COLOR, TOO_NEAR_COLOR, UNKNOWN_COLOR
from mtpano_model.inference.picture_files import (
    decode_picture,
    depth_millimetres,
    find_pictures,
    read_picture,
    write_picture,
)
from mtpano_model.inference.pictures import (
    colorize_depth,
    colorize_labels,
    colorize_normals,
    legend,
    panel,
)

CLASSES = load_class_set("indoor18")


def test_depth_colours_run_from_red_near_to_blue_far_and_mark_the_special_values():
    depth = np.array([[0.5, 9.5, 10.0, 99.0, np.nan, np.inf, -np.inf]], np.float32)
    colors = colorize_depth(depth, max_depth=10).astype(int)[0]
    assert colors[0, 0] > colors[0, 2] + 80  # near: red
    assert colors[1, 2] > colors[1, 0] + 20  # far: blue
    assert (colors[2] == colors[3]).all()
    assert [tuple(c) for c in colors[4:]] == [UNKNOWN_COLOR, OPEN_COLOR, TOO_NEAR_COLOR]


def test_depth_colours_tell_depths_apart():
    ramp = np.linspace(0, 10, 200, dtype=np.float32)[None]
    colors = colorize_depth(ramp).astype(int)[0]
    assert len({tuple(c) for c in colors}) == 200


def test_normal_colours_decode_to_the_normals():
    normals = rays(16, 32).copy()
    normals[0, 0] = np.nan
    colors = colorize_normals(normals)
    assert colors[0, 0].tolist() == [128, 128, 128]
    decoded = colors / 127.5 - 1
    assert np.abs(decoded - normals)[1:].max() <= 0.5 / 127.5 + 1e-6


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_label_colours_are_the_palettes(kind):
    labels = np.array([[0, 5, 17, 18, 255]], kind)
    colors = colorize_labels(labels, CLASSES.palette)[0]
    for color, index in zip(colors, (0, 5, 17), strict=False):
        assert tuple(color) == CLASSES.palette[index]
    assert tuple(colors[3]) == tuple(colors[4]) == UNKNOWN_COLOR


def test_colours_go_into_the_array_given():
    frame = box_room(16)
    out = np.zeros((16, 32, 3), np.uint8)
    for picture in (
        colorize_depth(frame.depth, out=out),
        colorize_normals(frame.normals, out=out),
        colorize_labels(frame.labels, CLASSES.palette, out=out),
    ):
        assert picture is out is not None
        assert out.any()


@pytest.mark.parametrize(
    ("value", "limit"),
    [(0.9, 1), (1, 1), (1.2, 1.5), (4.4, 5), (8.3, 10), (11, 15), (0.013, 0.015)],
)
def test_scales_end_at_round_numbers(value, limit):
    assert drawing.nice_limit(value) == pytest.approx(limit)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_without_a_sensible_end_still_has_one(value):
    assert drawing.nice_limit(value) == 1.0


def test_text_is_written_where_it_is_asked_for_and_cut_at_the_edge():
    sheet = drawing.paper(40, 200)
    end = drawing.put_text(sheet, "depth", 20, 10)
    inked = (sheet != drawing.PAPER).any(axis=2)
    rows, columns = np.nonzero(inked)
    assert end == 20 + drawing.text_width("depth")
    assert rows.min() >= 10
    assert rows.max() < 28
    assert columns.min() >= 20
    assert columns.max() < end
    assert sheet[inked].min() < 80  # dark enough to read
    drawing.put_text(sheet, "a very long line that does not fit", 150, 30)
    assert (sheet[30:, 150:] != drawing.PAPER).any()


def test_the_legend_names_what_is_there_largest_first(monkeypatch):
    labels = np.full((32, 64), 1, np.uint8)
    labels[:8] = 2  # near the pole: half of the rows it seems to be
    labels[16, 0] = 5
    labels[31] = 255
    words: list[str] = []
    monkeypatch.setattr(
        drawing, "swatches", lambda entries, width: words.extend(text for text, _ in entries)
    )
    legend(labels, CLASSES, 600)
    share = (1 - np.cos(np.pi / 4)) / 2  # of the sphere within 45 degrees of the zenith
    assert words[1:] == [f"ceiling {share:.0%}", "chair <1%"]
    assert words[0].startswith("floor 85%")


def test_a_legend_breaks_into_lines_that_fit():
    entries = [(name, color) for name, color in zip(CLASSES.names, CLASSES.palette, strict=True)]
    wide, narrow = drawing.swatches(entries, 3000), drawing.swatches(entries, 400)
    assert wide.shape == (drawing.LINE, 3000, 3)
    assert narrow.shape[0] > 3 * drawing.LINE
    assert (narrow[:, 395:] == drawing.PAPER).all()
    for _, color in entries:
        assert (narrow == color).all(axis=2).any()


# --- the panel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [800, 1600])
def test_the_panel_shows_every_picture(width):
    frame = box_room(64)
    rgb = np.full((64, 128, 3), (200, 30, 90), np.uint8)
    sheet = panel(rgb, frame, CLASSES, title="box.jpg", width=width)
    assert sheet.shape[1] == width
    assert sheet.dtype == np.uint8

    def area(color: tuple[int, ...]) -> float:
        return float((np.abs(sheet.astype(int) - color).max(axis=2) <= 1).sum()) / (width / 2) ** 2

    assert area((200, 30, 90)) > 0.6  # the panorama, half as high as wide, and both views
    assert area(CLASSES.palette[3]) > 0.08  # the floor in the semantics
    assert area((128, 0, 128)) > 0.08  # and in the normals: (0, -1, 0)
    assert area(tuple(colorize_depth(frame.depth[:1, :1], 5.0)[0, 0])) > 0.001


def test_a_panel_of_nothing_known_is_still_a_panel():
    size = (32, 64)
    frame = Frame(
        np.full(size, np.nan, np.float32),
        np.full((*size, 3), np.nan, np.float32),
        np.full(size, 255, np.uint8),
    )
    assert panel(colored(*size), frame, CLASSES, width=800).shape[1] == 800


# --- a report's pictures -------------------------------------------------------------------------


def test_confusion_picture_is_dark_on_a_good_diagonal():
    confusion = np.zeros((18, 19))
    confusion[0, 0], confusion[1, 1], confusion[1, 0] = 100, 50, 50
    picture = confusion_picture(confusion, CLASSES)
    side = 44
    origin = picture.shape[0] - 10 - 2 * side
    cells = {
        (i, j): picture[origin + i * side + 3, origin + j * side + 3].astype(int)
        for i in range(2)
        for j in range(2)
    }
    assert cells[0, 0][1] > cells[0, 0][0]  # green: right
    assert cells[1, 0][0] > cells[1, 0][1]  # red: wrong
    assert cells[0, 0].sum() < cells[1, 1].sum() < cells[0, 1].sum()


# --- files ---------------------------------------------------------------------------------------


def test_millimetres_hold_every_special_value():
    depth = np.array([[1.2344, 0.0004, 65.6, np.nan, np.inf, -np.inf]], np.float32)
    assert depth_millimetres(depth).tolist() == [[1234, 0, 65534, 0, 65535, 0]]


def test_a_picture_survives_its_file(tmp_path):
    rgb = colored(16, 32)
    write_picture(tmp_path / "ä.png", rgb)
    np.testing.assert_array_equal(read_picture(tmp_path / "ä.png"), rgb)


def test_a_jpeg_cut_short_is_refused_wherever_it_is_cut(tmp_path):
    done, data = cv2.imencode(".jpg", colored(64, 128))
    whole = data.tobytes()
    assert done
    assert decode_picture(whole).shape == (64, 128, 3)
    assert decode_picture(whole + bytes(100)).shape == (64, 128, 3)  # some cameras pad
    for length in (4, 100, len(whole) // 2, len(whole) - 2):
        with pytest.raises(ValueError, match=r"cut short|damaged"):
            decode_picture(whole[:length])


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(ValueError, match="it is"):
        decode_picture(data)


def test_a_folder_gives_its_pictures_in_order_of_name(tmp_path):
    for name in ("b.JPG", "a.png", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in find_pictures(tmp_path)] == ["a.png", "b.JPG"]
