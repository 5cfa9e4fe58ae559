"""Colours, text, the panel and a report's pictures: a person must see what the arrays say."""

from __future__ import annotations

import numpy as np
import pytest
from test_cloud import box_room, colored

from mtpano_model.classes import load_class_set
from mtpano_model.data.pseudo_encoding import decode_depth, encode_depth
from mtpano_model.drawing import canvas
from mtpano_model.drawing.colors import OPEN_COLOR, TOO_NEAR_COLOR, UNKNOWN_COLOR
from mtpano_model.drawing.panels import (
    colorize_depth,
    colorize_labels,
    legend,
    panel,
)
from mtpano_model.evaluation.charts import confusion_chart
from mtpano_model.geometry.sphere import rays
from mtpano_model.inference import Frame
from mtpano_model.pictures.files import read_picture, write_picture
from mtpano_model.pictures.millimetres import millimetres
from mtpano_model.pictures.normals import encode_normals

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
    colors = encode_normals(normals)
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
        encode_normals(frame.normals, out=out),
        colorize_labels(frame.labels, CLASSES.palette, out=out),
    ):
        assert picture is out is not None
        assert out.any()


@pytest.mark.parametrize(
    ("value", "limit"),
    [(0.9, 1), (1, 1), (1.2, 1.5), (4.4, 5), (8.3, 10), (11, 15), (0.013, 0.015)],
)
def test_scales_end_at_round_numbers(value, limit):
    assert canvas.nice_limit(value) == pytest.approx(limit)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_without_a_sensible_end_still_has_one(value):
    assert canvas.nice_limit(value) == 1.0


def test_text_is_written_where_it_is_asked_for_and_cut_at_the_edge():
    sheet = canvas.paper(40, 200)
    end = canvas.put_text(sheet, "depth", 20, 10)
    inked = (sheet != canvas.PAPER).any(axis=2)
    rows, columns = np.nonzero(inked)
    assert end == 20 + canvas.text_width("depth")
    assert rows.min() >= 10
    assert rows.max() < 28
    assert columns.min() >= 20
    assert columns.max() < end
    assert sheet[inked].min() < 80  # dark enough to read
    canvas.put_text(sheet, "a very long line that does not fit", 150, 30)
    assert (sheet[30:, 150:] != canvas.PAPER).any()


def test_the_legend_names_what_is_there_largest_first(monkeypatch):
    labels = np.full((32, 64), 1, np.uint8)
    labels[:8] = 2  # near the pole: half of the rows it seems to be
    labels[16, 0] = 5
    labels[31] = 255
    words: list[str] = []
    monkeypatch.setattr(
        canvas, "swatches", lambda entries, width: words.extend(text for text, _ in entries)
    )
    legend(labels, CLASSES, 600)
    share = (1 - np.cos(np.pi / 4)) / 2  # of the sphere within 45 degrees of the zenith
    assert words[1:] == [f"ceiling {share:.0%}", "chair <1%"]
    assert words[0].startswith("floor 85%")


def test_a_legend_breaks_into_lines_that_fit():
    entries = [(name, color) for name, color in zip(CLASSES.names, CLASSES.palette, strict=True)]
    wide, narrow = canvas.swatches(entries, 3000), canvas.swatches(entries, 400)
    assert wide.shape == (canvas.LINE, 3000, 3)
    assert narrow.shape[0] > 3 * canvas.LINE
    assert (narrow[:, 395:] == canvas.PAPER).all()
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


def test_the_confusion_chart_is_dark_on_a_good_diagonal():
    confusion = np.zeros((18, 19))
    confusion[0, 0], confusion[1, 1], confusion[1, 0] = 100, 50, 50
    axes = confusion_chart(confusion, CLASSES.names).axes[0]
    cells = axes.images[0].get_array().astype(int)
    assert cells.shape == (2, 2, 3)  # classes that occur only
    names = [name.get_text() for name in axes.get_yticklabels()]
    assert names == list(CLASSES.names[:2])
    assert sorted(text.get_text() for text in axes.texts) == ["100", "50", "50"]
    assert cells[0, 0][1] > cells[0, 0][0]  # green: right
    assert cells[1, 0][0] > cells[1, 0][1]  # red: wrong
    assert cells[0, 0].sum() < cells[1, 1].sum() < cells[0, 1].sum()


# --- files ---------------------------------------------------------------------------------------


def test_millimetres_put_no_wall_where_nothing_was_measured():
    """0 alone says so: a reader of 16-bit depth takes any other value for a distance."""
    depth = [1.2344, 1.2346, 65.535, 0.0004, 65.6, 1e9, 0, -1, np.nan, np.inf, -np.inf]
    expected = [[1234, 1235, 65535, 0, 0, 0, 0, 0, 0, 0, 0]]
    depth = np.array([depth], np.float32)
    assert millimetres(depth).tolist() == expected
    out = np.full(depth.shape, 9, np.uint16)
    assert millimetres(depth, out) is out
    assert out.tolist() == expected
    stored = decode_depth(encode_depth(depth))  # as a label store keeps it
    np.testing.assert_allclose(stored, np.array(expected) / 1000, rtol=1e-6)


def test_a_picture_survives_its_file(tmp_path):
    rgb = colored(16, 32)
    write_picture(tmp_path / "ä.png", rgb)
    np.testing.assert_array_equal(read_picture(tmp_path / "ä.png").rgb, rgb)
