"""Panoramas that nobody knows, limits, previews and settings of the label engine."""

from __future__ import annotations

import numpy as np
import pytest
from perfect_teachers import CONFIG, Fixed, Whole, _class, box

from mtpano_model.classes import load_class_set
from mtpano_model.data.pseudo_encoding import encode
from mtpano_model.data.store import Store
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.engine import LabelEngine
from mtpano_model.labels.preview import preview
from mtpano_model.labels.session import label_all
from mtpano_model.labels.teachers.oracle import Oracle


def test_a_panorama_that_no_teacher_knows_anything_about_is_skipped_and_named(tmp_path):
    class Source:
        def __len__(self):
            return 1

        def panoramas(self, done=()):
            yield box("dark")

    engine = LabelEngine([Fixed(("semseg",), lambda p, v: _class(v, 255))], CONFIG)
    meta = {"class_set": "indoor18", "size": CONFIG.size}
    with StoreWriter(tmp_path, meta) as writer:
        outcome = label_all(Source(), engine, writer, ())
    assert outcome.labelled == 0
    assert [(s.name, "no teacher could label any" in s.reason) for s in outcome.skipped] == [
        ("dark", True)
    ]
    assert len(Store(tmp_path)) == 0


def test_a_limit_counts_what_other_writers_add_meanwhile(tmp_path):
    meta = {"class_set": "indoor18", "size": CONFIG.size}
    engine = LabelEngine([Whole(("depth", "normals", "semseg"))], CONFIG)
    with StoreWriter(tmp_path, meta) as writer, StoreWriter(tmp_path, meta, worker=1) as other:

        class Source:
            def panoramas(self, done):
                for n in range(5):
                    yield box(f"mine {n}")
                    other.add(f"other {n}", encode(engine.label(box())))

        outcome = label_all(Source(), engine, writer, (), limit=3)
    assert outcome.labelled == 2
    assert len(Store(tmp_path)) == 3


def test_a_class_outside_the_table_is_an_error_not_a_label():
    engine = LabelEngine([Fixed(("semseg",), lambda p, v: _class(v, 18))], CONFIG)
    with pytest.raises(MtpanoError, match="'fixed' returned class 18, expected 0 to 17 or 255"):
        engine.label(box())


@pytest.mark.parametrize(
    "change",
    [
        {"height": 15},
        {"patches": 0},
        {"batch": 0},
        {"batch": -2},
        {"hfov_deg": (100.0, 80.0)},
        {"hfov_deg": (80.0, 180.0)},
        {"pitch_deg": (-91.0, 0.0)},
    ],
)
def test_settings_out_of_range_are_named(change):
    with pytest.raises(MtpanoError, match="expected"):
        LabelConfig(**change)


def test_a_preview_shows_labels_and_where_the_patches_looked():
    labels = LabelEngine([Oracle("indoor18")], CONFIG).label(box())
    classes = load_class_set("indoor18")
    sheet = preview(labels, classes, "box", width=800)
    assert sheet.shape[1] == 800
    floor = np.array(classes.palette[classes.names.index("floor")])
    assert (sheet == floor).all(-1).mean() > 0.02
    labels.views = labels.views[:0]
    without = preview(labels, classes, "box", width=800)
    assert (without[-220:, :400] != sheet[-220:, :400]).any()
