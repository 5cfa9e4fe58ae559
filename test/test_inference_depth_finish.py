"""Depth bent to the normals: flat walls, steps that stay, nothing invented; compiled or not."""

from __future__ import annotations

from pathlib import Path

import box_room
import numpy as np
import pytest
from fake_model import write_fake_model

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import rays, yaw_matrix, yaw_of_column_shift
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference.answer import Answer
from mtpano_model.inference.depth_finish import NormalsFinish
from mtpano_model.inference.frame import Frame
from mtpano_model.inference.postprocess import Postprocessor
from mtpano_model.inference.postprocess_rules import ValueRules
from mtpano_model.metrics.step_width import clean_steps, step_widths

SIZE = (128, 256)


@pytest.fixture(params=[False, True], ids=["numpy", "numba"])
def finish(request: pytest.FixtureRequest) -> NormalsFinish:
    if request.param:
        pytest.importorskip("numba")
    return NormalsFinish(request.param)


def room() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth [H, W] and normals [3, H, W] of the box, and which of its sides a pixel shows."""
    distance, normal, wall = (a.numpy() for a in box_room.cast(box_room.panorama_rays(SIZE[0])))
    return distance, np.ascontiguousarray(normal, np.float32), wall


def bowed(amount: float = 0.03) -> np.ndarray:
    depth, _, _ = room()
    return (depth * (1 + amount * np.cos(2 * rays(*SIZE)[..., 0] * depth))).astype(np.float32)


def test_bowed_walls_become_flat_and_keep_their_distance(finish: NormalsFinish) -> None:
    depth, normals, wall = room()
    before = bowed()
    after = finish(before, normals)
    assert after.dtype == np.float32
    for side in range(6):
        raw, left = (np.log(d / depth)[wall == side] for d in (before, after))
        if raw.std() > 0.01:
            assert left.std() < (0.4 if side >= 4 else 0.6) * raw.std()
    assert np.median(after / depth) == pytest.approx(1, abs=0.01)


def test_what_agrees_already_is_left_as_it_is(finish: NormalsFinish) -> None:
    depth, normals, _ = room()
    np.testing.assert_allclose(finish(depth, 3 * normals), depth, rtol=1e-4)


def test_true_steps_stay_and_blurred_ones_get_sharper(finish: NormalsFinish) -> None:
    depth = np.full((256, 512), 5.0, np.float32)
    depth[:, 100:240] = 2.0
    normals = np.ascontiguousarray(-np.moveaxis(rays(256, 512), -1, 0))
    np.testing.assert_allclose(finish(depth, normals), depth, rtol=1e-4)
    kernel = [0.03, 0.04, 0.05, 0.76, 0.05, 0.04, 0.03]
    blurred = np.apply_along_axis(np.convolve, 1, depth, kernel, "same").astype(np.float32)
    blurred[:, :4] = blurred[:, -4:] = 5.0
    windows = clean_steps(depth, np.ones(depth.shape, bool))
    before = np.nanmedian(step_widths(blurred, windows))
    after = np.nanmedian(step_widths(finish(blurred, normals), windows))
    assert before == pytest.approx(1.8 * 1024 / 512, rel=0.01)
    assert after < 0.6 * before


def test_neither_where_the_seam_lies_nor_the_scale_makes_a_difference(
    finish: NormalsFinish,
) -> None:
    _, normals, _ = room()
    plain = finish(bowed(), normals)
    turn = yaw_matrix(yaw_of_column_shift(77, SIZE[1])).astype(np.float32)
    rolled = np.einsum("ij,jhw->ihw", turn, np.roll(normals, 77, 2))
    again = finish(np.roll(bowed(), 77, 1), rolled)
    np.testing.assert_allclose(again, np.roll(plain, 77, 1), rtol=1e-4)
    np.testing.assert_allclose(finish(7 * bowed(), normals), 7 * plain, rtol=1e-4)


def test_what_is_unknown_stays_so_and_spoils_nothing(finish: NormalsFinish) -> None:
    _, normals, _ = room()
    depth = bowed()
    depth[20:30, 40:60] = np.nan
    depth[40, 40], depth[41, 41] = 0, -1
    normals[:, 70:75, 100] = np.nan
    normals[:, 80:85, 100] = 0
    with np.errstate(all="raise"):
        after = finish(depth, normals)
    assert np.array_equal(np.isnan(after), np.isnan(depth))
    assert after[40, 40] == 0
    assert after[41, 41] < 0
    known = np.isfinite(depth) & (depth > 0)
    assert (np.abs(np.log(after[known] / depth[known])) < 0.1).all()


def test_numba_and_numpy_agree() -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    _, normals, _ = room()
    noisy = normals + rng.normal(0, 0.1, normals.shape).astype(np.float32)
    depth = bowed() * rng.lognormal(0, 0.05, SIZE).astype(np.float32)
    one, other = (NormalsFinish(compiled)(depth, noisy) for compiled in (False, True))
    np.testing.assert_allclose(one, other, rtol=1e-4)


# --- in the way of a frame ------------------------------------------------------------------------


def outputs(tail: str) -> dict[str, np.ndarray]:
    _, normals, _ = room()
    depth = bowed()
    if tail == "cpu":
        logits = np.zeros((1, len(load_class_set("indoor18")), *SIZE), np.float32)
        return {"depth": depth[None, None], "normals": normals[None], "semseg": logits}
    vectors = np.ascontiguousarray(np.moveaxis(normals, 0, -1))
    labels = np.zeros((1, *SIZE), np.uint8)
    return {"depth": depth[None], "normals": vectors[None], "labels": labels}


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("tail", ["cpu", "gpu"])
@pytest.mark.parametrize("compiled", [False, None])
def test_the_rule_reaches_every_way_to_a_frame(
    tmp_path: Path, tail: str, adjusted: bool, compiled: bool | None
) -> None:
    info = read_model_info(write_fake_model(tmp_path / "m.onnx", SIZE, tail=tail, decoder_stride=1))
    process = Postprocessor(info, compiled)
    expected = NormalsFinish()(bowed(), room()[1])

    def keep(answer: Answer, size: tuple[int, int]) -> Answer:
        return answer

    def frame(rules: ValueRules | None, wanted: tuple[str, ...] = ("depth", "normals")) -> Frame:
        adjust = keep if adjusted else None
        return process(outputs(tail), SIZE, rules, wanted=wanted, adjust=adjust)

    rules = ValueRules(depth_finish="normals", max_range=4.0)
    for wanted in (("depth", "normals"), ("depth",)):
        depth = frame(rules, wanted).depth
        near = expected < 3.99
        np.testing.assert_allclose(depth[near], expected[near], rtol=1e-4)
        assert np.isinf(depth[expected > 4.01]).all()
    np.testing.assert_allclose(frame(None).depth, bowed(), rtol=1e-6)
    np.testing.assert_array_equal(frame(rules).normals[near], frame(None).normals[near])


def test_another_finish_is_refused() -> None:
    with pytest.raises(MtpanoError, match="depth_finish is 'planes': expected off or normals"):
        ValueRules(depth_finish="planes")


@pytest.mark.parametrize("value", [1e-40, 1e-38, 3e38, np.inf, 0.0, -1.0, np.nan])
def test_one_depth_or_normal_of_any_size_changes_nothing_else(
    finish: NormalsFinish, value: float
) -> None:
    depth, normals, _ = room()
    plain = finish(depth, normals)
    far = np.ones(SIZE, bool)
    far[40:81, 40:81] = False
    for harmed in (depth, normals):
        kept = harmed[..., 60, 60].copy()
        harmed[..., 60, 60] = value
        np.testing.assert_allclose(finish(depth, normals)[far], plain[far], rtol=1e-3)
        harmed[..., 60, 60] = kept
