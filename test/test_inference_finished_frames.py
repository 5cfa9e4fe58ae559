"""Depth corrected by the normals on its way to a frame: either tail, adjusted or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bowed_room import SIZE, bowed, room
from fake_model import write_fake_model

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference.answer import Answer
from mtpano_model.inference.depth_finish import NormalsFinish
from mtpano_model.inference.frame import Frame
from mtpano_model.inference.postprocess import Postprocessor
from mtpano_model.inference.postprocess_rules import ValueRules
from mtpano_model.pictures.resize import resize_linear
from mtpano_model.robot.attitude import LEVEL
from mtpano_model.robot.correction import Correction
from mtpano_model.robot.scale import MetricScale


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
    off = ValueRules(depth_finish="off")

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
    np.testing.assert_allclose(frame(off).depth, bowed(), rtol=1e-6)
    np.testing.assert_allclose(frame(None).depth, frame(ValueRules()).depth, rtol=1e-6)
    np.testing.assert_allclose(frame(None).depth[near], expected[near], rtol=1e-4)
    np.testing.assert_array_equal(frame(rules).normals[near], frame(None).normals[near])


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("compiled", [False, None])
def test_what_a_gpu_tail_has_enlarged_is_finished_on_the_networks_grid(
    tmp_path: Path, compiled: bool | None, adjusted: bool
) -> None:
    """So it is the same depth, and costs no more, whichever tail a graph has."""
    large = (2 * SIZE[0], 2 * SIZE[1])
    host = read_model_info(write_fake_model(tmp_path / "m.onnx", SIZE, decoder_stride=1))
    correction = Correction(host.classes, MetricScale(None), SIZE)

    def level(answer: Answer, size: tuple[int, int]) -> Answer:
        return correction(answer, size, LEVEL, 0.0, with_confidence=True).answer

    given = outputs("cpu")
    expected = Postprocessor(host, compiled)(given, large).depth
    enlarged = {
        "depth": resize_linear(given["depth"][0, 0], large)[None],
        "normals": np.stack([resize_linear(p, large) for p in given["normals"][0]], -1)[None],
        "labels": np.zeros((1, *large), np.uint8),
    }
    info = replace(host, tail="gpu", output_size=large)
    adjust = level if adjusted else None
    found = Postprocessor(info, compiled)(enlarged, large, adjust=adjust).depth
    # Reducing what was enlarged blurs the corners between walls by a quarter of a pixel.
    off = np.abs(found / expected - 1)
    assert np.quantile(off, 0.95) < 0.005
    assert off.max() < 0.05


def test_confidence_is_derived_from_depth_before_the_normals_have_corrected_it(
    tmp_path: Path,
) -> None:
    """Corrected depth agrees with the normals, right or wrong."""
    info = read_model_info(write_fake_model(tmp_path / "m.onnx", SIZE, decoder_stride=1))
    correction = Correction(info.classes, MetricScale(None), SIZE)
    found = []

    def confident(answer: Answer, size: tuple[int, int]) -> Answer:
        corrected = correction(answer, size, LEVEL, 0.0, with_confidence=True).answer
        found.append(corrected.maps["confidence"].copy())
        return corrected

    for finish in ("off", "normals"):
        rules = ValueRules(depth_finish=finish)
        Postprocessor(info)(outputs("cpu"), SIZE, rules, adjust=confident)
    assert found[0].std() > 0.002
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


def test_another_finish_is_refused() -> None:
    with pytest.raises(MtpanoError, match="depth_finish is 'planes': expected off or normals"):
        ValueRules(depth_finish="planes")
