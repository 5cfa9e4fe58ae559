"""Labels of a frame: the greatest of the interpolated logits."""

from __future__ import annotations

import network_outputs
import numpy as np
import pytest
from bilinear import interpolated_labels, wrapped_bilinear
from network_outputs import LOW, SIZE, outputs

from mtpano_model.inference.postprocess import argmax_labels

postprocess, info = network_outputs.postprocess, network_outputs.info


@pytest.mark.parametrize("classes", [1, 2, 18, 150])
def test_argmax_agrees_with_numpy(classes):
    logits = np.random.default_rng(1).standard_normal((classes, 181, 362)).astype(np.float32)
    labels, bad = argmax_labels(logits)
    np.testing.assert_array_equal(labels, logits.argmax(axis=0))
    assert bad == 0


def test_argmax_takes_the_first_of_equals():
    logits = np.random.default_rng(2).integers(0, 3, (9, 40, 80)).astype(np.float32)
    np.testing.assert_array_equal(argmax_labels(logits)[0], logits.argmax(axis=0))


def test_argmax_leaves_pixels_without_a_finite_best_unlabelled():
    logits = np.zeros((5, 10, 20), np.float32)
    logits[2] = 1
    logits[4, 0, 0] = np.nan
    logits[0, 0, 1] = np.inf
    logits[:, 0, 2] = -np.inf
    logits[1, 0, 3] = -np.inf  # not the best: harmless
    labels, bad = argmax_labels(logits)
    assert labels[0, :4].tolist() == [255, 255, 255, 2]
    assert bad == 3


def test_more_than_254_classes_take_16_bits():
    logits = np.zeros((300, 4, 8), np.float32)
    logits[299] = 1
    logits[0, 0, 0] = np.nan
    labels, _ = argmax_labels(logits, unlabelled=65535)
    assert labels.dtype == np.uint16
    assert labels[0, :2].tolist() == [65535, 299]


def smooth_logits(classes: int = 18) -> np.ndarray:
    """Logits as a network gives them: regions with borders, not a new class each pixel."""
    rng = np.random.default_rng(7)
    coarse = rng.standard_normal((classes, LOW[0] // 4, LOW[1] // 4)).astype(np.float32)
    return np.stack([wrapped_bilinear(plane, LOW) for plane in coarse])[None].astype(np.float32)


@pytest.mark.parametrize("impossible", [0, 0.2])
@pytest.mark.parametrize("size", [SIZE, (96, 192), (80, 150), (32, 128), LOW, (20, 40)])
def test_labels_are_the_greatest_of_the_interpolated_logits(postprocess, info, size, impossible):
    logits = smooth_logits()
    hit = np.random.default_rng(8).random(logits.shape) < impossible
    logits[hit & (logits < logits.max(axis=1, keepdims=True))] = -np.inf
    given = outputs() | {"semseg": logits}
    frame = postprocess(given, info, size)
    expected = interpolated_labels(np.maximum(logits[0], -1e30), size)
    assert frame.labels.dtype == np.uint8
    # Equal but for a class that is best at none of the four pixels around a place.
    assert impossible or np.mean(frame.labels != expected) < 0.015
    wrong = frame.labels != expected
    nearest = given["semseg"][0].argmax(0)
    for row, column in zip(*np.nonzero(wrong), strict=True):
        y, x = (row + 0.5) * LOW[0] / size[0] - 0.5, (column + 0.5) * LOW[1] / size[1] - 0.5
        rows = np.clip([int(np.floor(y)), int(np.ceil(y))], 0, LOW[0] - 1)
        columns = np.array([int(np.floor(x)), int(np.ceil(x))]) % LOW[1]
        assert expected[row, column] not in nearest[np.ix_(rows, columns)]


def test_a_border_runs_between_the_network_s_pixels(postprocess, info):
    """Two logits that cross a quarter of a pixel to the right of the middle between columns."""
    given = outputs()
    given["semseg"][:] = -9.0
    x = np.arange(LOW[1], dtype=np.float32)
    given["semseg"][0, 0] = np.where(x < 40, 30.75 - x, -20.0)
    given["semseg"][0, 1] = 0.0
    labels = postprocess(given, info, (LOW[0], 8 * LOW[1])).labels
    centre = (np.arange(8 * LOW[1]) + 0.5) / 8 - 0.5
    inner = (centre > 0) & (centre < 39)
    np.testing.assert_array_equal(labels[5, inner], (centre > 30.75)[inner])


@pytest.mark.parametrize(("left", "right"), [(2, 7), (7, 2)])
def test_the_first_of_two_equal_classes_wins(postprocess, info, left, right):
    """Halfway between two columns, as np.argmax takes it."""
    given = outputs()
    given["semseg"][:] = -9.0
    given["semseg"][0, left, :, :21] = given["semseg"][0, right, :, 21:] = 1.0
    labels = postprocess(given, info, (LOW[0], 3 * LOW[1] // 2)).labels  # places 19.8, 20.5, 21.2
    np.testing.assert_array_equal(labels[:, 30:33], np.tile([left, 2, right], (LOW[0], 1)))


def test_a_pixel_without_a_class_makes_its_own_place_unlabelled_alone(postprocess, info):
    given = outputs() | {"semseg": smooth_logits()}
    plain = postprocess(given, info, SIZE).labels
    given["semseg"][0, :, 10, 20] = np.nan
    frame = postprocess(given, info, SIZE)
    assert (frame.labels[20:22, 40:42] == 255).all()
    assert (frame.labels == 255).sum() == 4
    assert frame.non_finite == 1
    far = np.ones(SIZE, bool)
    far[18:24, 38:44] = False
    np.testing.assert_array_equal(frame.labels[far], plain[far])
