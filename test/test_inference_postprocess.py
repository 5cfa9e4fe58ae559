"""From network outputs to a frame: arg-max, upsampling, unit normals and the special values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import network_outputs
import numpy as np
import pytest
from bilinear import wrapped_bilinear
from network_outputs import LOW, SIZE, outputs

from mtpano_model.geometry.sphere import rays
from mtpano_model.inference import Frame, ValueRules
from mtpano_model.inference.postprocess import Postprocessor, argmax_labels

postprocess, info = network_outputs.postprocess, network_outputs.info


@pytest.mark.parametrize("size", [(96, 192), (64, 128), (48, 96)])
@pytest.mark.parametrize("wanted", [("depth",), ("normals",), ("labels",), None])
def test_each_output_may_have_its_own_resolution(postprocess, info, size, wanted):
    """Depth and normals at the full size, logits at half of it, as a network may predict them."""
    given = outputs()
    expected = postprocess(given, info, size)
    fine = (4 * LOW[0], 4 * LOW[1])
    planes = {name: given[name][0] for name in ("depth", "normals")}
    mixed = given | {
        name: np.stack([wrapped_bilinear(p, fine) for p in array])[None].astype(np.float32)
        for name, array in planes.items()
    }
    options = {} if wanted is None else {"wanted": wanted}
    frame = postprocess(mixed, info, size, **options)
    for name in wanted or ("depth", "normals", "labels"):
        got, want = getattr(frame, name), getattr(expected, name)
        if name == "labels":
            np.testing.assert_array_equal(got, want)
        else:
            assert np.abs(got - want).mean() < 0.12  # the same map, interpolated twice


def test_normals_are_unit_length_and_true_everywhere_also_at_the_seam(postprocess, info):
    frame = postprocess(outputs(), info, SIZE)
    np.testing.assert_allclose(np.linalg.norm(frame.normals, axis=-1), 1, atol=1e-6)
    cosine = -(frame.normals * rays(*SIZE)).sum(axis=-1)
    # A quarter of a low-resolution pixel at the poles' rows, where they are repeated; else exact.
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 180 / LOW[0] / 4 * 1.01
    assert np.degrees(np.arccos(np.clip(cosine[4:-4], -1, 1))).max() < 0.2


@pytest.mark.parametrize("steps", [1, 7, 32])
def test_rolling_the_outputs_rolls_the_frame(postprocess, info, steps):
    given = outputs()
    rolled = {name: np.roll(value, steps, axis=-1) for name, value in given.items()}
    frame = postprocess(given, info, SIZE)
    turned = postprocess(rolled, info, SIZE)
    for name in ("depth", "normals", "labels"):
        expected = np.roll(getattr(frame, name), 2 * steps, axis=1)
        np.testing.assert_allclose(getattr(turned, name), expected, atol=1e-6, err_msg=name)


def test_ranges_become_infinities(postprocess, info):
    given = outputs()
    plain = postprocess(given, info, SIZE).depth
    frame = postprocess(given, info, SIZE, ValueRules(min_range=2.0, max_range=4.0))
    np.testing.assert_array_equal(np.isneginf(frame.depth), plain < 2)
    np.testing.assert_array_equal(np.isposinf(frame.depth), plain > 4)
    between = (plain >= 2) & (plain <= 4)
    np.testing.assert_array_equal(frame.depth[between], plain[between])
    assert np.isfinite(frame.normals).all()


def test_an_open_class_is_infinitely_far_and_has_no_surface(postprocess, info):
    given = outputs()
    given["semseg"][:, 3, :8] = 9
    frame = postprocess(given, info, SIZE, ValueRules(max_range=4.0))
    assert np.isposinf(frame.depth[:16]).all()
    assert np.isnan(frame.normals[:16]).all()
    assert (frame.labels[:16] == 3).all()
    assert np.isfinite(frame.normals[16:]).all()


def test_zero_and_non_finite_depth_become_nan_whatever_the_ranges(postprocess, info):
    given = outputs()
    given["depth"][0, 0, 4:8] = 0
    given["depth"][0, 0, 12:16] = np.inf
    given["depth"][0, 0, 20:24] = -np.inf
    given["depth"][0, 0, 28] = np.nan
    frame = postprocess(given, info, SIZE, ValueRules(min_range=0.5, max_range=8.0))
    for rows in (slice(9, 15), slice(24, 32), slice(40, 48), slice(56, 58)):
        assert np.isnan(frame.depth[rows]).all()
        assert np.isnan(frame.normals[rows]).all()
    assert frame.non_finite == (4 + 4 + 1) * LOW[1]
    assert np.isfinite(frame.depth[:6]).all()


def test_zero_length_and_non_finite_normals_become_nan(postprocess, info):
    given = outputs()
    given["normals"][0, :, 4:8] = 0
    given["normals"][0, 1, 12] = np.inf
    frame = postprocess(given, info, SIZE)
    assert np.isnan(frame.normals[9:15]).all()
    assert np.isnan(frame.normals[24:26]).all()
    assert frame.non_finite == LOW[1]
    assert np.isfinite(frame.depth).all()


def test_a_mask_of_another_size_hides_the_robot(postprocess, info):
    mask = np.zeros((32, 64), bool)
    mask[24:] = True
    frame = postprocess(outputs(), info, SIZE, ValueRules(mask=mask))
    assert np.isnan(frame.depth[48:]).all()
    assert np.isnan(frame.normals[48:]).all()
    assert np.isfinite(frame.depth[:48]).all()
    assert (frame.labels[48:] < 18).all()


def test_a_frame_given_is_filled_and_an_old_one_leaves_no_trace(postprocess, info):
    out = Frame.empty(SIZE, len(info.classes))
    first = outputs()
    first["depth"][:] = np.nan
    assert postprocess(first, info, SIZE, out=out) is out
    assert np.isnan(out.depth).all()
    second = postprocess(outputs(), info, SIZE)
    postprocess(outputs(), info, SIZE, out=out)
    assert out.non_finite == 0
    for name in ("depth", "normals", "labels"):
        np.testing.assert_array_equal(getattr(out, name), getattr(second, name))


def test_a_frame_of_the_wrong_size_is_refused(postprocess, info):
    with pytest.raises(ValueError, match="expected"):
        postprocess(outputs(), info, SIZE, out=Frame.empty((8, 16), 18))


def test_the_gpu_tail_passes_through_and_is_not_shared(postprocess, info):
    finished = replace(info, tail="gpu", output_size=SIZE, path=Path("x"))
    host = postprocess(outputs(), info, SIZE)
    given = {
        "depth": host.depth[None].copy(),
        "normals": host.normals[None].copy(),
        "labels": host.labels[None].copy(),
    }
    frame = postprocess(given, finished, SIZE)
    for name, value in given.items():
        np.testing.assert_allclose(getattr(frame, name), value[0], atol=1e-6, err_msg=name)
        assert not np.shares_memory(getattr(frame, name), value)


@pytest.mark.parametrize("size", [(32, 64), (16, 32), (48, 96), (128, 256)])
def test_every_array_has_the_size_asked_for(postprocess, info, size):
    frame = postprocess(outputs(), info, size)
    assert frame.size == size
    assert frame.depth.shape == frame.labels.shape == frame.normals.shape[:2] == size
    assert frame.depth.dtype == frame.normals.dtype == np.float32


@pytest.mark.parametrize("tail", ["cpu", "gpu"])
@pytest.mark.parametrize(
    "size", [(128, 256), (64, 128), (96, 192), (48, 96), (32, 64), (16, 32), (75, 150), (33, 66)]
)
def test_both_ways_give_the_same_frame(info, size, tail):
    pytest.importorskip("numba", reason="numba is not installed: pip install numba")
    rng = np.random.default_rng(5)
    given = outputs()
    given["semseg"] = rng.standard_normal(given["semseg"].shape, np.float32)  # 3 is open
    for name in given:
        hit = rng.random(given[name].shape) < 0.002
        given[name][hit] = rng.choice(np.float32([np.nan, np.inf, -np.inf, 0, -1]), hit.sum())
    if tail == "gpu":
        given = {
            "depth": given["depth"][0],
            "normals": np.ascontiguousarray(np.moveaxis(given["normals"], 1, -1)),
            "labels": argmax_labels(given["semseg"][0])[0][None],
        }
        info = replace(info, tail="gpu", output_size=LOW)
    mask = rng.random((20, 40)) < 0.1
    for ranges in ({}, {"min_range": 2.0, "max_range": 4.0}, {"min_range": 3.0, "mask": mask}):
        rules = ValueRules(**ranges, depth_finish="off")
        plain, compiled = (Postprocessor(info, way)(given, size, rules) for way in (False, True))
        assert compiled.non_finite == plain.non_finite
        np.testing.assert_array_equal(compiled.labels, plain.labels)
        np.testing.assert_allclose(compiled.normals, plain.normals, atol=1e-5)
        # A depth that interpolation puts on a limit may fall to either side in the last bit.
        same = np.isclose(compiled.depth, plain.depth, rtol=1e-6, equal_nan=True)
        assert np.count_nonzero(~same) <= 1


WANTED = [{"depth"}, {"normals"}, {"labels"}, {"depth", "labels"}, {"depth", "normals"}, set()]


@pytest.mark.parametrize("wanted", WANTED, ids=lambda names: "+".join(sorted(names)) or "nothing")
@pytest.mark.parametrize("sky", [True, False])
@pytest.mark.parametrize("tail", ["cpu", "gpu"])
def test_wanted_fields_are_as_among_all_and_the_others_are_left_alone(
    postprocess, info, wanted, sky, tail
):
    """An open class decides depth and normals, so that its labels are computed with them."""
    given = outputs()
    given["semseg"][0, 3, :5] = 50.0
    given["depth"][0, 0, 20:22] = np.nan
    if not sky:
        closed = replace(info.classes, open=(False,) * len(info.classes))
        info = replace(info, classes=closed)
    if tail == "gpu":
        info = replace(info, tail="gpu")
        given = {
            "depth": given["depth"][0],
            "normals": np.ascontiguousarray(np.moveaxis(given["normals"], 1, -1)),
            "labels": given["semseg"][0].argmax(axis=0).astype(np.uint8)[None],
        }
    mask = np.zeros(SIZE, bool)
    mask[40:44] = True
    rules = ValueRules(1.5, 4.0, mask)
    whole = postprocess(given, info, SIZE, rules)
    frame = Frame.empty(SIZE, 18)
    frame.depth[...], frame.normals[...], frame.labels[...] = 7.0, 7.0, 77
    postprocess(given, info, SIZE, rules, frame, wanted=wanted)
    for name in ("depth", "normals", "labels"):
        filled = getattr(frame, name)
        if name in wanted:
            np.testing.assert_array_equal(filled, getattr(whole, name))
        elif name == "normals":
            assert (filled == 7).all()
    if "labels" not in wanted and not (sky and wanted):
        assert (frame.labels == 77).all()
    if wanted <= {"labels"}:
        assert (frame.depth == 7).all()


def test_what_is_not_computed_is_not_counted_as_not_finite(postprocess, info):
    given = outputs()
    given["normals"][0, :, 3, 4] = np.nan
    assert postprocess(given, info, SIZE, wanted={"depth"}).non_finite == 0
    assert postprocess(given, info, SIZE, wanted={"normals"}).non_finite == 3
