"""Teachers of today through stand-ins that answer as the real ones do, on the analytic room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from box_room import sample
from stand_ins import teachers as stand_ins
from stand_ins.teachers import compass
from teacher_room import ROOM, opened_by_name

from mtpano_model.data.panorama import Panorama
from mtpano_model.data.pseudo_encoding import decode, encode
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views, range_to_z, rotate, to_patches
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.depth_teachers import DepthMap, combine_depths
from mtpano_model.labels.engine import LabelEngine
from mtpano_model.labels.quality import LabelQuality
from mtpano_model.labels.teacher import is_metric
from mtpano_model.labels.teachers import open_teacher

HEIGHT = 128
TRUTH = sample(HEIGHT)
CONFIG = LabelConfig(height=HEIGHT, patches=20, patch_size=96)


@pytest.fixture
def authors(monkeypatch, tmp_path):
    return opened_by_name(monkeypatch, tmp_path)


def quality_of(labels) -> dict[str, float]:
    quality = LabelQuality()
    quality.add(decode(encode(labels), CONFIG.size), TRUTH)
    return quality.report()


@pytest.mark.parametrize("hfov", [60.0, 90.0, 120.0])
@pytest.mark.parametrize("name", ["moge2", "moge3", "metric-anything", "da3metric"])
@torch.inference_mode()
def test_patch_teachers_give_z_in_metres_at_every_field_of_view(authors, monkeypatch, name, hfov):
    yaw, pitch = torch.tensor([0.3, 2.0]), torch.tensor([0.4, -0.9])
    views = Views.look(yaw, pitch, torch.full((2,), np.radians(hfov)), (96, 96))
    monkeypatch.setattr(stand_ins.DepthAnything3, "tan_half", views.tan_half[0].item())
    picture = torch.from_numpy(ROOM.image.transpose(2, 0, 1).copy()).float()
    patches = to_patches(picture, views).round().to(torch.uint8)
    labels = authors(name).label(patches, views, ROOM)
    distance = to_patches(sample(512).depth, views, "nearest")
    ratio = labels.depth / range_to_z(distance, views)
    inside = ratio[..., 12:-4, 4:-4]  # the sky of the stand-in, and the outermost pixels, are not
    assert inside.median() == pytest.approx(1, abs=0.01)
    assert ((inside - 1).abs() < 0.05).float().mean() > 0.9
    if name == "da3metric":
        assert labels.depth[..., :9, :].isinf().all(), "the sky has no depth"
    if name == "moge2":
        turned = rotate(labels.normals, views.rotation)
        truth = to_patches(sample(512).normals, views, "nearest")
        assert ((turned * truth).sum(1) > 0.95).float().mean() > 0.9


def test_moge3_gives_depth_and_moge2_beside_it_normals(authors):
    teachers = [authors("moge3"), authors("moge2-normals")]
    assert [teacher.tasks for teacher in teachers] == [("depth",), ("normals",)]
    report = quality_of(LabelEngine(teachers, CONFIG).label(ROOM))
    assert report["depth_abs_rel"] < 0.02
    assert report["normals_mean_deg"] < 4


@pytest.mark.parametrize("height", [64, 100, 128])
@pytest.mark.parametrize("name", ["dap", "da2", "da360", "unik3d", "pager"])
@torch.inference_mode()
def test_whole_panorama_teachers_give_the_range_along_the_ray(authors, name, height):
    teacher = authors(name)
    panorama = Panorama("room", compass(height))
    depth = teacher.label_panorama(panorama, CONFIG.size).depth
    assert depth.shape == (1, 1, *CONFIG.size)
    known = depth.isfinite() & (depth > 0)
    ratio = (depth[0] / TRUTH.depth)[known[0]]
    scale = 1 if is_metric(teacher) else ratio.median()
    assert ((ratio / scale - 1).abs() < 0.06).float().mean() > 0.95
    assert is_metric(teacher) == (name in ("dap", "unik3d", "pager"))
    if name == "dap":
        assert not known[..., :9, :].any(), "what its mask leaves out is unknown"
    if name == "unik3d":
        assert not known[..., :6, :].any(), "it is weak at the poles"
        assert known[..., 8:-8, :].all()
    if name == "pager":
        assert not known[..., :20, :].any(), "the sky has no depth"


@torch.inference_mode()
def test_pager_s_normals_are_turned_from_its_frame(authors, monkeypatch):
    labels = authors("pager").label_panorama(ROOM, CONFIG.size)
    known = labels.normals.square().sum(1)[0] > 0.5
    assert 0.7 < known.float().mean() < 0.95
    cosine = (labels.normals[0] * TRUTH.normals).sum(0)[known]
    assert cosine.min() > 0.99
    monkeypatch.setattr(stand_ins.Pager, "axes", torch.eye(3))  # weights with other axes
    with pytest.raises(MtpanoError, match="look away from the camera: its weights are of another"):
        authors("pager").label_panorama(ROOM, CONFIG.size)


@pytest.mark.parametrize(
    ("modalities", "tasks"),
    [(["depth"], ("depth",)), (["normals"], ("normals",)), (["depth", "sky"], ("depth",))],
)
@torch.inference_mode()
def test_pager_s_other_weights_give_what_they_have(monkeypatch, tmp_path, modalities, tasks):
    stand_ins.install(monkeypatch, tmp_path / "code", modalities)
    (tmp_path / "config.yaml").write_text("")
    teacher = open_teacher(f"pager:{tmp_path}", "indoor18", noncommercial=True)
    assert teacher.tasks == tasks
    labels = teacher.label_panorama(ROOM, CONFIG.size)
    assert (labels.depth is not None, labels.normals is not None) == (
        "depth" in tasks, "normals" in tasks,
    )  # fmt: skip


def test_dap_without_its_dinov3_is_one_sentence_and_leaves_the_working_directory(authors, tmp_path):
    before = Path.cwd()
    (tmp_path / "code" / stand_ins.DAP_HOME).rmdir()
    with pytest.raises(MtpanoError, match=r"teacher 'dap' cannot build its network from .*code"):
        authors("dap")
    assert Path.cwd() == before


def test_eomt_gives_classes_through_transformers(tmp_path):
    from tiny_teachers import save_eomt

    save_eomt(tmp_path)
    teacher = open_teacher(f"eomt:{tmp_path}", "indoor18")
    views = Views.look([0.0, 1.0], [0.2, -0.1], [1.5, 1.7], (48, 48))
    patches = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    with torch.inference_mode():
        labels = teacher.label(patches, views, ROOM)
    assert labels.classes.shape == labels.confidence.shape == (2, 1, 48, 48)
    assert ((labels.classes < 18) | (labels.classes == 255)).all()


# --- several teachers of depth -------------------------------------------------------------------


@pytest.mark.parametrize("names", [["dap", "da2"], ["moge2", "da360"], ["da2", "unik3d", "da360"]])
def test_teachers_without_scale_are_aligned_to_metric_ones(authors, names):
    labels = LabelEngine([authors(name) for name in names], CONFIG).label(ROOM)
    report = quality_of(labels)
    assert report["depth_abs_rel"] < 0.02
    assert report["coverage_depth"] > 0.99, "one fills what another does not know"
    assert (labels.depth_confidence[labels.depth > 0] > 0.4).all()
    scales = [v for k, v in labels.facts["teacher_log_scale"].items() if k.startswith("da2")]
    assert all(s == pytest.approx(np.log(0.37), abs=0.02) for s in scales)


def test_without_a_metric_teacher_it_is_one_sentence(authors):
    with pytest.raises(MtpanoError, match="gives depth only up to an unknown scale: add a metric"):
        LabelEngine([authors("da2"), authors("da360")], CONFIG)


def flat(value: float, count: int = 4000) -> torch.Tensor:
    return torch.full((count,), value) * torch.linspace(1, 2, count)


def test_one_that_contradicts_the_others_is_outvoted_and_lowers_the_confidence():
    wrong = flat(2.0)
    wrong[:1000] *= 3  # whatever its scale, it cannot be right everywhere
    maps = [DepthMap(flat(2.0), True), DepthMap(wrong, True), DepthMap(flat(0.5), False)]
    combined = combine_depths(maps)
    torch.testing.assert_close(combined.depth, flat(2.0), rtol=0.02, atol=0)
    assert combined.confidence[:1000].max() < 0.1
    assert combined.confidence[1000:].min() > 0.9
    assert combined.log_scale[2] - combined.log_scale[0] == pytest.approx(np.log(0.25), abs=0.02)


def test_what_two_metric_teachers_say_is_believed_in_the_mean():
    combined = combine_depths([DepthMap(flat(2.0), True), DepthMap(flat(2.2), True)])
    torch.testing.assert_close(combined.depth, flat(2 * 1.1**0.5), rtol=1e-4, atol=0)
    assert combined.confidence.min() > 0.99, "a scale apart, they agree"


def test_a_map_without_scale_that_touches_no_metric_one_is_left_out():
    left, right = flat(2.0), flat(1.0)
    left[2000:], right[:2000] = 0, 0
    combined = combine_depths([DepthMap(left, True), DepthMap(right, False)])
    assert (combined.depth[2000:] == 0).all()
    assert (combined.confidence[:2000] == 0.5).all()
    assert combined.log_scale.isnan().tolist() == [False, True]


def test_one_teacher_alone_has_no_confidence_and_the_store_none():
    combined = combine_depths([DepthMap(flat(2.0), True)])
    assert combined.confidence is None
    torch.testing.assert_close(combined.depth, flat(2.0))


def test_where_teachers_contradict_each_other_training_sees_no_depth(authors, tmp_path):
    from mtpano_model.data.pseudo_labelled import PseudoLabelled
    from mtpano_model.data.store_writer import StoreWriter

    labels = LabelEngine([authors("dap"), authors("da2")], CONFIG).label(ROOM)
    labels.depth_confidence[:, :100] = 0
    meta = {"class_set": "indoor18", "size": CONFIG.size}
    with StoreWriter(tmp_path, meta) as writer:
        writer.add("room", encode(labels))
    frame = PseudoLabelled(tmp_path)[0]
    assert not frame.depth_valid[..., :100].any()
    assert frame.depth_valid[..., 100:].all()
