"""Metrics against the release's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from metric_cases import PLAIN, some_classes

from mtpano_model.geometry.sphere import solid_angles
from mtpano_model.metrics.depth import DepthMetrics
from mtpano_model.metrics.normals import NormalsMetrics
from mtpano_model.metrics.protocols import Protocol
from mtpano_model.metrics.semseg import SemsegMetrics


@pytest.fixture(scope="module")
def released(reference: Path) -> tuple[dict[str, np.ndarray], dict]:
    from safetensors.numpy import load_file

    folder = reference / "losses_a"
    values = json.loads((folder / "values.json").read_text())
    return load_file(folder / "tensors.safetensors"), values


@pytest.mark.parametrize(("key", "cap"), [("no_cap", None), ("cap_10m", 10.0)])
def test_depth_metrics_equal_the_release(released, key: str, cap: float | None) -> None:  # type: ignore[no-untyped-def]
    tensors, values = released
    metrics = DepthMetrics(Protocol("test", max_depth=cap))
    for i in range(2):
        truth = tensors["gt.depth"][i, 0]
        valid = tensors["valid"][i, 0]
        metrics.update(tensors["pred.depth"][i, 0], truth, valid, solid_angles(*truth.shape))
    expected, figures = values["depth_metrics"][key], metrics.pooled()
    for ours, theirs in {"rmse_log": "log_rmse", "delta1": "a1", "delta2": "a2"}.items():
        assert figures[ours] == pytest.approx(expected[theirs], rel=1e-4)
    for name in ("rmse", "abs_rel", "sq_rel"):
        assert figures[name] == pytest.approx(expected[name], rel=1e-4)


def test_normals_metrics_equal_the_release(released) -> None:  # type: ignore[no-untyped-def]
    tensors, values = released
    metrics = NormalsMetrics(PLAIN)
    for i in range(2):
        prediction, truth = (
            tensors[k][i].transpose(1, 2, 0) for k in ("pred.normals", "gt.normals")
        )
        valid = tensors["valid"][i, 0]
        metrics.update(prediction.astype(np.float32), truth, valid, solid_angles(*valid.shape))
    expected, figures = values["normals_metrics"], metrics.pooled()
    assert figures["mean_deg"] == pytest.approx(expected["mean"], rel=1e-4)
    assert figures["median_deg"] == pytest.approx(expected["median"], rel=1e-4)
    assert figures["rmse_deg"] == pytest.approx(expected["rmse"], rel=1e-4)
    assert 100 * figures["within_11_25"] == pytest.approx(expected["11.25"], rel=1e-4)
    assert 100 * figures["within_22_5"] == pytest.approx(expected["22.5"], rel=1e-4)


def test_semseg_metrics_equal_the_release(released) -> None:  # type: ignore[no-untyped-def]
    tensors, values = released
    classes = tensors["pred.semseg"].shape[1]
    metrics = SemsegMetrics(PLAIN, some_classes(classes))
    for i in range(2):
        truth = tensors["gt.semseg"][i, 0]
        labels = tensors["pred.semseg"][i].argmax(0)
        metrics.update(labels, truth, solid_angles(*truth.shape))
    expected = values["semseg_metrics"]
    assert metrics.pooled()["miou"] == pytest.approx(expected["miou"], rel=1e-4)
    np.testing.assert_allclose(list(metrics.class_iou().values()), expected["iou"], rtol=1e-4)
