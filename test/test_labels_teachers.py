"""Every teacher through its real loader, on tiny random weights saved in place of the hub's."""

from __future__ import annotations

import io
import math
import pickle
import sys
import types

import cv2
import numpy as np
import pytest
import torch
from tiny_teachers import (
    ADE150,
    save_depth_anything,
    save_mask2former,
    save_oneformer,
    save_segformer,
)

from mtpano_model.classes import load_class_set
from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views, to_patches
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.engine import LabelEngine
from mtpano_model.labels.teacher import Teacher
from mtpano_model.labels.teachers import describe, open_teacher
from mtpano_model.labels.teachers.semantics import ClassScores, set_of_labels

VIEWS = Views.look([0.0, 1.0], [0.2, -0.1], [1.5, 1.7], (64, 64))
PATCHES = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
NOWHERE = Panorama("nowhere", np.zeros((64, 128, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("mask2former", save_mask2former),
        ("oneformer", save_oneformer),
        ("segformer", save_segformer),
    ],
)
@torch.inference_mode()
def test_segmenters_of_the_hub_give_classes_of_the_wanted_set(tmp_path, name, save):
    save(tmp_path)
    for class_set in ("indoor18", "ade20k150"):
        teacher = open_teacher(f"{name}:{tmp_path}", class_set)
        assert isinstance(teacher, Teacher)
        labels = teacher.label(PATCHES, VIEWS, NOWHERE)
        assert labels.classes.dtype == torch.uint8
        assert labels.classes.shape == labels.confidence.shape == (2, 1, 64, 64)
        named = labels.classes[labels.classes != 255]
        assert (named < len(load_class_set(class_set))).all()
        assert labels.confidence.min() > 0
        assert labels.confidence.max() <= 1


@torch.inference_mode()
def test_depth_anything_gives_metres_and_only_the_metric_kind_is_taken(tmp_path):
    save_depth_anything(tmp_path / "metric")
    teacher = open_teacher(f"depth-anything:{tmp_path / 'metric'}", "indoor18")
    depth = teacher.label(PATCHES, VIEWS, NOWHERE).depth
    assert depth.shape == (2, 1, 64, 64)
    assert 0 <= depth.min() <= depth.max() <= 20
    save_depth_anything(tmp_path / "relative", "relative")
    with pytest.raises(MtpanoError, match="gives relative depth"):
        open_teacher(f"depth-anything:{tmp_path / 'relative'}", "indoor18")


class FakeMoGe:
    """Stands in for the authors' class, with the same method: a wall 2 m ahead."""

    normal_head: object | None = object()

    @classmethod
    def from_pretrained(cls, source):
        if "missing" in source:
            raise OSError("no such repository")
        if "damaged" in source:
            raise pickle.UnpicklingError("invalid load key")
        return cls()

    def to(self, device):
        return self

    def eval(self):
        return self

    def infer(self, image, fov_x, force_projection, use_fp16):
        assert image.min() >= 0
        assert image.max() <= 1
        self.fov = fov_x
        depth = torch.full((len(image), *image.shape[-2:]), 2.0)
        depth[:, :8] = math.inf
        normal = torch.zeros(*depth.shape, 3)
        normal[..., 2] = -1
        return {"depth": depth, "normal": normal}


@pytest.fixture
def fake_moge(monkeypatch):
    for name in ("moge", "moge.model", "moge.model.v2"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["moge.model.v2"].MoGeModel = FakeMoGe


def test_moge_is_told_the_field_of_view_and_its_wall_lands_on_the_sphere(fake_moge):
    teacher = open_teacher("moge2", "indoor18")
    labels = teacher.label(PATCHES, VIEWS, NOWHERE)
    np.testing.assert_allclose(teacher._model.fov, np.degrees([1.5, 1.7]), rtol=1e-5)
    assert labels.depth.shape == (2, 1, 64, 64)
    assert labels.normals.shape == (2, 3, 64, 64)
    # Looking ahead only, all that is seen is a wall at z = 2: range 2 / cos, normal (0, 0, -1).
    config = LabelConfig(
        height=64, patches=1, patch_size=64, pitch_deg=(0.0, 0.0), hfov_deg=(90.0, 90.0)
    )
    merged = LabelEngine([teacher], config).label(NOWHERE)
    yaw = math.radians(merged.views[0, 0])
    i, j = 32, int((yaw / (2 * math.pi) + 0.5) * 128) % 128
    assert merged.depth[i, j] == pytest.approx(2, abs=0.01)
    np.testing.assert_allclose(merged.normals[i, j], [-math.sin(yaw), 0, -math.cos(yaw)], atol=1e-5)
    assert merged.depth[18, j] == 0  # its upper rows are masked


def test_moge_without_normals_leaves_them_to_others_and_says_what_is_missing(
    fake_moge, monkeypatch
):
    monkeypatch.setattr(FakeMoGe, "normal_head", None)
    assert open_teacher("moge2", "indoor18").tasks == ("depth",)
    with pytest.raises(MtpanoError, match="'moge2:missing' cannot be loaded"):
        open_teacher("moge2:missing", "indoor18")
    with pytest.raises(MtpanoError, match="'moge2:damaged' cannot be loaded"):
        open_teacher("moge2:damaged", "indoor18")
    monkeypatch.setitem(sys.modules, "moge.model.v2", None)
    with pytest.raises(MtpanoError, match="pip install git"):
        open_teacher("moge2", "indoor18")


@pytest.mark.parametrize(
    "file", ["ade20k32_segmenter_r3_logits.tflite", "ade20k32_deeplabv3_mnv2_int8.tflite"]
)
@torch.inference_mode()
def test_offline_segmenters_know_floor_ceiling_and_walls(shared, file):
    pytest.importorskip("ai_edge_litert")
    teacher = open_teacher(f"ade20k32:{shared / 'teachers' / file}", "indoor18")
    picture = cv2.imread(str(shared / "panoramas" / "apartment.jpg"))[..., ::-1]
    panorama = torch.from_numpy(picture.transpose(2, 0, 1).copy())
    views = Views.look([0.0, 2.0], [0.0, 0.0], [1.9, 1.9], (256, 256))
    labels = teacher.label(to_patches(panorama, views), views, NOWHERE)
    names = load_class_set("indoor18").names
    assert (labels.classes[..., :8, :] == names.index("ceiling")).float().mean() > 0.95
    assert (labels.classes[..., -8:, :] == names.index("floor")).float().mean() > 0.9
    assert (labels.classes[..., 128, :] == names.index("wall")).float().mean() > 0.3
    assert labels.confidence[..., :8, :].mean() > 0.9


# --- names, classes, errors ----------------------------------------------------------------------


def test_scores_of_classes_that_become_one_are_added():
    # Of ADE20K-32, sofa stays sofa; chair and armchair become chair; building becomes nothing.
    own, wanted = load_class_set("ade20k32"), load_class_set("indoor18")
    scores = torch.zeros(1, 32, 1, 2)
    for name, share in [("sofa", 0.4), ("chair", 0.3), ("armchair", 0.3)]:
        scores[0, own.names.index(name), 0, 0] = share
    scores[0, own.names.index("building"), 0, 1] = 0.6
    scores[0, own.names.index("wall"), 0, 1] = 0.4
    classes, confidence = ClassScores("ade20k32", "indoor18").best(scores, (1, 2))
    assert classes[0, 0, 0].tolist() == [wanted.names.index("chair"), 255]
    np.testing.assert_allclose(confidence[0, 0, 0], [0.6, 0.6], rtol=1e-6)


def test_a_segmenter_of_unknown_classes_is_refused():
    assert set_of_labels(ADE150 | {0: "wall;brick"}, "x") == "ade20k150"
    with pytest.raises(MtpanoError, match="'x' has 3 classes that begin with 'cat'"):
        set_of_labels({0: "cat", 1: "dog", 2: "cow"}, "x")


def test_wrong_names_and_sources_say_what_is_right(tmp_path):
    with pytest.raises(MtpanoError, match="unknown teacher 'mask2fomer': did you mean 'mask2for"):
        open_teacher("mask2fomer", "indoor18")
    with pytest.raises(MtpanoError, match="expected one of moge2"):
        open_teacher("x", "indoor18")
    for name in ("mask2former", "oneformer", "segformer", "depth-anything"):
        with pytest.raises(MtpanoError, match=r"cannot be loaded.*give a folder"):
            open_teacher(f"{name}:{tmp_path / 'nothing'}", "indoor18")
    with pytest.raises(MtpanoError, match="give MLCommons' deeplabv3"):
        open_teacher("ade20k32", "indoor18")
    with pytest.raises(MtpanoError, match="does not exist"):
        open_teacher(f"ade20k32:{tmp_path / 'nothing.tflite'}", "indoor18")
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(MtpanoError, match="is not a TFLite model"):
        open_teacher(f"ade20k32:{tmp_path / 'bad.tflite'}", "indoor18")


def test_damaged_weights_of_the_hub_are_one_sentence(tmp_path):
    save_segformer(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):
        weights.write_bytes(damaged)
        with pytest.raises(MtpanoError, match=r"cannot be loaded.*give a folder"):
            open_teacher(f"segformer:{tmp_path}", "indoor18")
    weights.unlink()
    archive = io.BytesIO()
    torch.save({"weight": torch.zeros(1000)}, archive)
    for damaged in (archive.getvalue()[:500], b"no pickle", b""):
        (tmp_path / "pytorch_model.bin").write_bytes(damaged)
        with pytest.raises(MtpanoError, match=r"cannot be loaded.*give a folder"):
            open_teacher(f"segformer:{tmp_path}", "indoor18")


def test_a_store_names_who_labelled_it_and_under_which_licence():
    assert describe([open_teacher("oracle", "indoor18")]) == [
        {
            "name": "oracle",
            "tasks": "depth normals semseg",
            "license": "that of the data set's ground truth",
        }
    ]
