"""Metrics against torchmetrics, scikit-learn, the release's numbers and cases done by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics

from mtpano_model.classes import IGNORE, ClassSet, load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.depth_metrics import DepthMetrics
from mtpano_model.evaluation.metrics import Evaluation, Maps, delta_mtl
from mtpano_model.evaluation.normals_metrics import NormalsMetrics, angles_deg, exact_figures
from mtpano_model.evaluation.protocols import PROTOCOLS, Protocol, find_protocol
from mtpano_model.evaluation.seam import SeamJumps, roll_error
from mtpano_model.evaluation.semseg_metrics import SemsegMetrics
from mtpano_model.geometry.sphere import rays, solid_angles

SIZE = (16, 32)
AREAS = solid_angles(*SIZE)
PLAIN = Protocol("plain")
RNG = np.random.default_rng(3)


def some_classes(count: int) -> ClassSet:
    names = tuple(f"class {i}" for i in range(count))
    return ClassSet("test", names, ((0, 0, 0),) * count, (False,) * count, (None,) * count)


def some_depth(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth = RNG.uniform(0.5, 12, (frames, *SIZE))
    prediction = truth * RNG.uniform(0.6, 1.6, truth.shape)
    return prediction, truth, RNG.random(truth.shape) < 0.8


# --- depth ---------------------------------------------------------------------------------------


def test_depth_by_hand() -> None:
    """Errors of 1 m on 2 m and 2 m on 10 m."""
    metrics = DepthMetrics(PLAIN)
    figures = metrics.update(
        np.array([[3.0, 8.0]]), np.array([[2.0, 10.0]]), np.ones((1, 2), bool), np.ones((1, 1))
    )
    assert figures == metrics.pooled()
    assert figures["abs_rel"] == pytest.approx((0.5 + 0.2) / 2)
    assert figures["sq_rel"] == pytest.approx((0.5 + 0.4) / 2)
    assert figures["rmse"] == pytest.approx(np.sqrt((1 + 4) / 2))
    assert figures["rmse_log"] == pytest.approx(np.sqrt((np.log(1.5) ** 2 + np.log(0.8) ** 2) / 2))
    # Ratios 1.5 and 1.25: the limit itself does not count as within.
    assert (figures["delta1"], figures["delta2"], figures["delta3"]) == (0.0, 1.0, 1.0)


def test_depth_pooled_agrees_with_torchmetrics() -> None:
    prediction, truth, valid = some_depth(3)
    metrics = DepthMetrics(PLAIN)
    for p, t, v in zip(prediction, truth, valid, strict=True):
        metrics.update(p, t, v, AREAS)
    p, t = torch.from_numpy(prediction[valid]), torch.from_numpy(truth[valid])
    figures = metrics.pooled()
    rmse = torchmetrics.MeanSquaredError(squared=False)
    log_mse = torchmetrics.MeanSquaredError(squared=False)
    abs_rel = torchmetrics.MeanAbsolutePercentageError()
    assert figures["rmse"] == pytest.approx(rmse(p, t).item(), rel=1e-6)
    assert figures["rmse_log"] == pytest.approx(log_mse(p.log(), t.log()).item(), rel=1e-6)
    assert figures["abs_rel"] == pytest.approx(abs_rel(p, t).item(), rel=1e-6)
    delta = np.mean(np.maximum(prediction / truth, truth / prediction)[valid] < 1.25)
    assert figures["delta1"] == pytest.approx(delta)


def test_depth_per_image_and_by_solid_angle() -> None:
    prediction, truth, valid = some_depth(2)
    metrics = DepthMetrics(PLAIN)
    for p, t, v in zip(prediction, truth, valid, strict=True):
        metrics.update(p, t, v, AREAS)
    error = np.abs(prediction - truth) / truth
    frames = [error[i][valid[i]].mean() for i in range(2)]
    assert metrics.per_image()["abs_rel"] == pytest.approx(np.mean(frames))
    weight = np.broadcast_to(AREAS, error.shape)
    expected = np.average(error[valid], weights=weight[valid])
    assert metrics.cos_weighted()["abs_rel"] == pytest.approx(expected)
    assert metrics.cos_weighted()["abs_rel"] != pytest.approx(metrics.pooled()["abs_rel"], rel=1e-4)


def test_median_alignment_forgives_a_scale_a_frame() -> None:
    _, truth, valid = some_depth(2)
    metrics, asked = DepthMetrics(PLAIN), DepthMetrics(PLAIN)
    for t, v, scale in zip(truth, valid, (0.4, 3.0), strict=True):
        metrics.update(t * scale, t, v, AREAS)
        asked.update(t * scale, t, v, AREAS, align=True)
    assert metrics.pooled()["abs_rel"] > 0.5
    assert metrics.median_aligned()["abs_rel"] == pytest.approx(0, abs=1e-12)
    assert asked.pooled()["abs_rel"] == pytest.approx(0, abs=1e-12)
    assert asked.per_image()["delta1"] == pytest.approx(1)


def test_a_capped_protocol_drops_far_truth_and_clamps_predictions() -> None:
    truth, prediction = np.array([[5.0, 9.0, 10.0, 20.0]]), np.array([[5.0, 40.0, 1.0, 1.0]])
    everywhere = np.ones((1, 4), bool)
    figures = DepthMetrics(find_protocol("matterport3d")).update(
        prediction, truth, everywhere, np.ones((1, 1))
    )
    assert figures["abs_rel"] == pytest.approx((1 / 9) / 2)  # 40 m counts as 10 m, two pixels


def test_the_authors_matterport_protocol_takes_decades() -> None:
    prediction, truth, valid = some_depth(1)
    natural = DepthMetrics(find_protocol("matterport3d"))
    decades = DepthMetrics(find_protocol("360mtl"))
    for metrics in (natural, decades):
        metrics.update(prediction[0], truth[0], valid[0], AREAS)
    ratio = natural.pooled()["rmse_log"] / decades.pooled()["rmse_log"]
    assert ratio == pytest.approx(np.log(10))


def test_depth_that_is_not_finite_or_negative_counts_as_wrong() -> None:
    truth = np.full((1, 4), 2.0)
    figures = DepthMetrics(PLAIN).update(
        np.array([[np.nan, np.inf, -np.inf, -3.0]]), truth, np.ones((1, 4), bool), np.ones((1, 1))
    )
    assert all(np.isfinite(list(figures.values())))
    assert figures["delta3"] == 0


def test_a_frame_without_valid_depth_adds_nothing() -> None:
    prediction, truth, valid = some_depth(1)
    metrics = DepthMetrics(PLAIN)
    assert metrics.update(prediction[0], truth[0], np.zeros(SIZE, bool), AREAS) == {}
    assert metrics.pooled() == metrics.per_image() == metrics.median_aligned() == {}
    full = metrics.update(prediction[0], truth[0], valid[0], AREAS)
    assert metrics.per_image() == pytest.approx(full)


# --- normals -------------------------------------------------------------------------------------


def test_angles_by_hand() -> None:
    a = np.array([[0, 0, -1.0], [0, 0, -1.0], [0, 0, -2.0], [1.0, 0, 0]])
    b = np.array([[0, 0, -1.0], [0, -3.0, 0], [0, 0, 5.0], [1.0, 1.0, 0]])
    np.testing.assert_allclose(angles_deg(a, b), [0, 90, 180, 45], atol=1e-12)


def test_tiny_angles_keep_their_digits() -> None:
    angle = 1e-5
    a, b = np.array([[0, 0, 1.0]]), np.array([[np.sin(angle), 0, np.cos(angle)]])
    assert angles_deg(a, b)[0] == pytest.approx(np.rad2deg(angle), rel=1e-6)


def test_vectors_that_say_nothing_are_90_degrees_off() -> None:
    nothing = np.array([[0.0, 0, 0], [np.nan, 0, 1]])
    np.testing.assert_allclose(angles_deg(nothing, np.array([[0, 1.0, 0]] * 2)), 90)


def some_normals(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth = RNG.normal(size=(frames, *SIZE, 3))
    truth /= np.linalg.norm(truth, axis=-1, keepdims=True)
    prediction = 1.7 * truth + RNG.normal(0, 0.4, truth.shape)
    return prediction, truth, RNG.random((frames, *SIZE)) < 0.8


def test_normals_pooled_agree_with_arccos_of_scikit_learn() -> None:
    prediction, truth, valid = some_normals(2)
    metrics = NormalsMetrics(PLAIN)
    for p, t, v in zip(prediction, truth, valid, strict=True):
        metrics.update(p, t, v, AREAS)
    cosine = 1 - sklearn.metrics.pairwise.paired_cosine_distances(prediction[valid], truth[valid])
    angles = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    figures = metrics.pooled()
    assert figures["mean_deg"] == pytest.approx(angles.mean(), rel=1e-9)
    assert figures["median_deg"] == pytest.approx(np.median(angles), abs=0.003)
    assert figures["rmse_deg"] == pytest.approx(np.sqrt((angles**2).mean()), rel=1e-9)
    assert figures["within_11_25"] == pytest.approx((angles < 11.25).mean())
    assert figures["within_30"] == pytest.approx((angles < 30).mean())


def test_streamed_median_is_exact_to_a_bin() -> None:
    """On 200k pixels the histogram's median is the sorted one to 0.003 degrees."""
    angles = np.abs(RNG.normal(20, 12, (200, 1000)))
    truth = np.broadcast_to([0.0, 0, 1], (200, 1000, 3))
    turned = np.stack([np.sin(np.deg2rad(angles)), 0 * angles, np.cos(np.deg2rad(angles))], -1)
    metrics = NormalsMetrics(PLAIN)
    metrics.update(turned, truth, np.ones(angles.shape, bool), np.ones((200, 1)))
    assert metrics.pooled()["median_deg"] == pytest.approx(np.median(angles), abs=0.003)


def test_normals_by_solid_angle() -> None:
    prediction, truth, valid = some_normals(1)
    metrics = NormalsMetrics(PLAIN)
    metrics.update(prediction[0], truth[0], valid[0], AREAS)
    weights = np.broadcast_to(AREAS, SIZE)[valid[0]]
    angles = angles_deg(prediction[0], truth[0])[valid[0]]
    expected = np.average(angles, weights=weights)
    assert metrics.cos_weighted()["mean_deg"] == pytest.approx(expected)


def test_the_authors_matterport_protocol_counts_invalid_normals_as_right() -> None:
    """Strict 90 degrees on half the pixels becomes 45 on all; batches of one frame are averaged."""
    truth = np.broadcast_to([0.0, 0, -1], (*SIZE, 3))
    wrong = np.broadcast_to([1.0, 0, 0], (*SIZE, 3))
    half, quarter = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    half[:, :16], quarter[:, :8] = True, True
    strict = NormalsMetrics(find_protocol("matterport3d"))
    authors = NormalsMetrics(find_protocol("360mtl"))
    for metrics in (strict, authors):
        metrics.update(wrong, truth, half, AREAS)
        metrics.update(wrong, truth, quarter, AREAS)
    assert strict.pooled()["mean_deg"] == pytest.approx(90)
    assert authors.pooled()["mean_deg"] == pytest.approx((45 + 22.5) / 2)
    assert authors.pooled()["within_11_25"] == pytest.approx((0.5 + 0.75) / 2)


# --- semantics -----------------------------------------------------------------------------------


def some_labels(frames: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    truth = RNG.integers(0, count, (frames, *SIZE)).astype(np.uint8)
    noise = RNG.integers(0, count, truth.shape).astype(np.uint8)
    prediction = np.where(RNG.random(truth.shape) < 0.6, truth, noise)
    truth[RNG.random(truth.shape) < 0.1] = IGNORE
    return prediction, truth


def test_semantics_agree_with_torchmetrics_and_scikit_learn() -> None:
    prediction, truth = some_labels(3, 7)
    metrics = SemsegMetrics(PLAIN, some_classes(7))
    for p, t in zip(prediction, truth, strict=True):
        metrics.update(p, t, AREAS)
    index = torchmetrics.JaccardIndex("multiclass", num_classes=7, ignore_index=IGNORE)
    known = truth != IGNORE
    expected = index(torch.from_numpy(prediction), torch.from_numpy(truth).long()).item()
    figures = metrics.pooled()
    assert figures["miou"] == pytest.approx(expected, rel=1e-6)
    ious = sklearn.metrics.jaccard_score(truth[known], prediction[known], average=None)
    np.testing.assert_allclose(list(metrics.class_iou().values()), ious)
    accuracy = sklearn.metrics.accuracy_score(truth[known], prediction[known])
    assert figures["pixel_accuracy"] == pytest.approx(accuracy)
    confusion = sklearn.metrics.confusion_matrix(truth[known], prediction[known])
    np.testing.assert_array_equal(metrics.confusion[:, :-1], confusion)
    weights = np.broadcast_to(AREAS, truth.shape)[known]
    weighted = sklearn.metrics.accuracy_score(
        truth[known], prediction[known], sample_weight=weights
    )
    assert metrics.cos_weighted()["pixel_accuracy"] == pytest.approx(weighted)


def test_absent_classes_do_not_count_and_invented_ones_do() -> None:
    """Truth: 0 and 1. Predicted: 0, and 3 for half of the ones. Class 2 is in neither."""
    metrics = SemsegMetrics(PLAIN, some_classes(4))
    metrics.update(np.array([[0, 0, 1, 3]]), np.array([[0, 0, 1, 1]]), np.ones((1, 1)))
    assert metrics.class_iou() == {"class 0": 1, "class 1": 0.5, "class 2": None, "class 3": 0}
    assert metrics.pooled()["miou"] == pytest.approx((1 + 0.5 + 0) / 3)


def test_rooms_score_common_classes_and_report_all_beside() -> None:
    """Class 1 has 1 pixel of 2048 (below 0.1 %), and it is missed; class 2 is invented once."""
    truth = np.zeros((32, 64), np.uint8)
    truth[0, 0], prediction = 1, np.zeros((32, 64), np.uint8)
    prediction[5, 5] = 2
    metrics = SemsegMetrics(find_protocol("rooms"), some_classes(3))
    metrics.update(prediction, truth, solid_angles(32, 64))
    figures = metrics.pooled()
    assert figures["miou"] == figures["miou_common_classes"] == pytest.approx(2046 / 2048)
    assert figures["miou_all_classes"] == pytest.approx(2046 / 2048 / 3)
    assert metrics.class_share()["class 1"] == pytest.approx(1 / 2048)


def test_structured3d_reports_29_classes() -> None:
    nyu = load_class_set("nyu40")
    protocol = find_protocol("structured3d")
    assert len(nyu) - len(set(protocol.unscored)) == 29
    assert {nyu.names[i] for i in protocol.unscored} >= {"bookshelf", "blinds", "person"}
    metrics = SemsegMetrics(protocol, nyu)
    truth = np.array([[0, 0, 9, 9]])  # walls right, bookshelves (not scored) wrong
    metrics.update(np.array([[0, 0, 1, 1]]), truth, np.ones((1, 1)))
    assert metrics.pooled()["miou"] == pytest.approx((1 + 0) / 2)  # wall 1, floor invented 0


def test_a_prediction_without_counterpart_is_wrong() -> None:
    metrics = SemsegMetrics(PLAIN, some_classes(2))
    metrics.update(np.array([[0, IGNORE]]), np.array([[0, 0]]), np.ones((1, 1)))
    assert metrics.pooled()["pixel_accuracy"] == 0.5
    assert metrics.class_iou() == {"class 0": 0.5, "class 1": None}


def test_unlabelled_frames_add_nothing() -> None:
    metrics = SemsegMetrics(PLAIN, some_classes(2))
    assert metrics.update(np.zeros((1, 2)), np.full((1, 2), IGNORE), np.ones((1, 1))) == {}
    assert metrics.pooled() == metrics.per_image() == {}


# --- the release's numbers -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(shared: Path) -> tuple[dict[str, np.ndarray], dict]:
    from safetensors.numpy import load_file

    folder = shared / "reference" / "losses_a"
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


# --- Delta_MTL, seam, everything -----------------------------------------------------------------


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


def test_seam_jumps_by_hand() -> None:
    """Inner jumps of 1, a jump of 3 across the seam; the truth jumps by 1 everywhere."""
    jumps = SeamJumps()
    prediction = np.array([[1.0, 2, 3, 4]])
    truth = np.array([[2.0, 1, 2, 1]])
    jumps.update(prediction, truth, np.ones((1, 4), bool))
    assert jumps.result() == {"depth_jump_ratio": 3.0, "truth_jump_ratio": 1.0}


def test_seam_jumps_look_only_where_truth_is_valid() -> None:
    jumps = SeamJumps()
    valid = np.array([[True, True, True, True], [True, True, True, False]])
    prediction = np.array([[1.0, 2, 3, 4], [0, 5, 5, 1e6]])
    jumps.update(prediction, prediction, valid)
    assert jumps.result()["depth_jump_ratio"] == pytest.approx(3 / ((3 + 5) / 5))


def test_roll_error_is_zero_for_a_function_of_pixels_and_not_for_one_of_columns() -> None:
    rgb = RNG.integers(1, 256, (*SIZE, 3)).astype(np.uint8)
    toward_camera = -rays(*SIZE)

    def honest(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return x[..., 0].astype(np.float64), toward_camera, x[..., 1]

    def seamed(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        depth = x[..., 0] * np.linspace(1, 2, SIZE[1])
        return depth, np.broadcast_to([0.0, 0, -1], (*SIZE, 3)), x[..., 1] + np.arange(SIZE[1])

    right = roll_error(honest, rgb, 8)
    assert right == pytest.approx({"depth_rel": 0, "normals_deg": 0, "labels": 0}, abs=1e-4)
    wrong = roll_error(seamed, rgb, 8)
    assert wrong["normals_deg"] == pytest.approx(90)  # 8 of 32 columns are a quarter turn
    assert wrong["depth_rel"] > 0.1
    assert wrong["labels"] == 1


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


def test_an_unknown_protocol_names_the_known_ones() -> None:
    with pytest.raises(MtpanoError, match=r"unknown protocol 'kitti'.*360mtl"):
        find_protocol("kitti")


def test_protocols_name_real_class_sets() -> None:
    for protocol in PROTOCOLS.values():
        classes = load_class_set(protocol.class_set)
        assert all(0 <= i < len(classes) for i in protocol.unscored)


def test_exact_figures_by_hand() -> None:
    figures = exact_figures(np.array([0.0, 10, 20, 40]))
    assert figures == pytest.approx(
        {
            "mean_deg": 17.5,
            "median_deg": 15,
            "rmse_deg": np.sqrt(2100 / 4),
            "within_11_25": 0.5,
            "within_22_5": 0.75,
            "within_30": 0.75,
        }
    )
