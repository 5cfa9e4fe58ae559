"""Metrics together: Delta_MTL, protocols and the figures of a whole evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import RNG, SIZE, some_depth, some_normals

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.metrics.evaluation import Evaluation, Maps, delta_mtl
from mtpano_model.metrics.protocols import PROTOCOLS, find_protocol


def paper(miou: float, rmse: float, mean: float) -> dict[str, dict[str, float]]:
    return {"semseg": {"miou": miou}, "depth": {"rmse": rmse}, "normals": {"mean_deg": mean}}


def test_delta_mtl_gives_the_papers_figures() -> None:
    """Ablation on Matterport3D of arXiv 2602.05330: -3.64 % plain, +7.21 % in full."""
    single = paper(24.14, 0.5523, 13.302)
    assert delta_mtl(paper(21.94, 0.5427, 13.774), single) == pytest.approx(-0.0364, abs=5e-5)
    assert delta_mtl(paper(26.89, 0.5234, 12.637), single) == pytest.approx(0.0721, abs=5e-5)
    assert delta_mtl(single, single) == 0


def test_delta_mtl_of_fewer_tasks() -> None:
    single = {"depth": {"rmse": 0.5}}
    assert delta_mtl(paper(1, 0.4, 1), single) == pytest.approx(0.2)


def test_a_perfect_prediction_has_perfect_figures() -> None:
    _, depth, valid = some_depth(1)
    _, normals, _ = some_normals(1)
    labels = RNG.integers(0, 18, SIZE).astype(np.uint8)
    truth = Maps(depth[0], normals[0], labels, valid[0], valid[0])
    evaluation = Evaluation(find_protocol("rooms"), load_class_set("indoor18"))
    own = evaluation.update(truth, truth)
    summary = evaluation.summary()
    for part in (own, summary, summary["per_image"], summary["cos_weighted"]):
        assert part["depth"]["abs_rel"] == 0
        assert part["depth"]["delta1"] == pytest.approx(1)
        assert part["normals"]["mean_deg"] == pytest.approx(0, abs=1e-5)
        assert part["semseg"]["miou"] == 1
    assert summary["median_aligned"]["depth"]["rmse"] == pytest.approx(0, abs=1e-12)


def test_what_a_single_task_network_lacks_is_left_out() -> None:
    _, depth, valid = some_depth(1)
    evaluation = Evaluation(find_protocol("rooms"), load_class_set("indoor18"))
    evaluation.update(Maps(depth[0], None, None), Maps(depth[0], None, None, valid[0]))
    summary = evaluation.summary()
    assert "depth" in summary
    assert "normals" not in summary
    assert "semseg" not in summary["per_image"]


def test_the_mean_over_frames_counts_each_frame_once_however_much_of_it_is_valid() -> None:
    truth, much, little = np.full(SIZE, 2.0), np.ones(SIZE, bool), np.zeros(SIZE, bool)
    little[0, :4] = True
    evaluation = Evaluation(find_protocol("rooms"), load_class_set("indoor18"))
    for factor, valid in ((1.1, much), (1.5, little), (9.0, ~much)):
        evaluation.update(Maps(truth * factor, None, None), Maps(truth, None, None, valid))
    summary = evaluation.summary()
    assert summary["per_image"]["depth"]["abs_rel"] == pytest.approx((0.1 + 0.5) / 2)
    expected = (0.1 * much.sum() + 0.5 * 4) / (much.sum() + 4)
    assert summary["depth"]["abs_rel"] == pytest.approx(expected)


def test_an_unknown_protocol_names_the_known_ones() -> None:
    with pytest.raises(MtpanoError, match=r"unknown protocol 'kitti'.*360mtl"):
        find_protocol("kitti")


def test_protocols_name_real_class_sets() -> None:
    for protocol in PROTOCOLS.values():
        classes = load_class_set(protocol.class_set)
        assert all(0 <= i < len(classes) for i in protocol.unscored)
