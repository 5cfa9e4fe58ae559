"""Teachers that lack memory, packages, weights or a licence."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from stand_ins.teachers import compass
from teacher_room import ROOM, opened_by_name

from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.asking import TeacherFailed
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.engine import LabelEngine
from mtpano_model.labels.out_of_memory import Batches, TeacherOutOfMemory
from mtpano_model.labels.session import label_all
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers import TEACHERS, describe, open_teacher


@pytest.fixture
def authors(monkeypatch, tmp_path):
    return opened_by_name(monkeypatch, tmp_path)


# --- memory --------------------------------------------------------------------------------------


class Hungry:
    """A teacher that has memory for `most` patches."""

    name, tasks, pitch_deg, license = "hungry", ("depth",), (-90.0, 90.0), "none"

    def __init__(self, most: int, error: Exception | None = None):
        self.most, self.sizes = most, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory.")

    def label(self, patches, views, panorama):
        self.sizes.append(len(patches))
        if len(patches) > self.most:
            raise self.error
        return TeacherLabels(depth=1 + patches[:, :1].float())


@pytest.mark.parametrize(
    "error",
    [
        None,
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_teacher_out_of_memory_gets_smaller_batches_for_good(error, caplog):
    plain, hungry = Hungry(99), Hungry(2, error)
    config = LabelConfig(height=64, patches=10, patch_size=32, batch=5)
    expected = LabelEngine([plain], config).label(ROOM)
    engine = LabelEngine([hungry], config)
    np.testing.assert_array_equal(engine.label(ROOM).depth, expected.depth)
    assert hungry.sizes[:4] == [5, 2, 2, 1]
    assert max(hungry.sizes[4:]) == 2
    assert "hungry ran out of memory at 5 patches: from now on it labels 2 at once" in caplog.text


def test_a_panorama_that_is_too_much_for_memory_is_named_and_the_next_one_goes_on(tmp_path):
    from mtpano_model.data.store_writer import StoreWriter

    class Source:
        def panoramas(self, done):
            yield from (Panorama(name, compass(64)) for name in ("too much", "fine"))

    hungry = Hungry(0)
    engine = LabelEngine([hungry], LabelConfig(height=64, patches=3, patch_size=32))
    real = engine.label
    engine.label = lambda p: setattr(hungry, "most", 9 * (p.name == "fine")) or real(p)
    with StoreWriter(tmp_path, {"class_set": "indoor18", "size": (64, 128)}) as writer:
        outcome = label_all(Source(), engine, writer, ())
    assert outcome.labelled == 1
    (skipped,) = outcome.skipped
    assert skipped.name == "too much"
    assert "'hungry' ran out of memory at a single patch" in skipped.reason


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    views = Views.look([0.0], [0.0], [1.5], (8, 8))
    hungry = Hungry(0, RuntimeError("shapes differ"))
    with pytest.raises(TeacherFailed, match=r"failed at 'room' \(RuntimeError: shapes dif"):
        Batches().label(hungry, torch.zeros(1, 3, 8, 8, dtype=torch.uint8), ROOM, views)
    assert not issubclass(TeacherOutOfMemory, RuntimeError)


# --- what it answers -----------------------------------------------------------------------------


def answer(**fields) -> TeacherLabels:
    whole = {"depth": torch.ones(2, 1, 32, 32), "normals": torch.ones(2, 3, 32, 32),
             "classes": torch.zeros(2, 1, 32, 32, dtype=torch.uint8)}  # fmt: skip
    return TeacherLabels(**{**whole, **fields})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "returned NoneType: expected TeacherLabels"),
        (answer(normals=None), r"returned normals NoneType: expected a tensor \(2, 3, 32, 32\)"),
        (
            answer(depth=torch.ones(2, 1, 31, 32)),
            r"returned depth \(2, 1, 31, 32\): expected a tensor",
        ),
        (
            answer(depth=torch.ones(1, 1, 32, 32)),
            r"returned depth \(1, 1, 32, 32\): expected a tensor",
        ),
        (answer(depth=np.ones(3)), "returned depth ndarray: expected a tensor"),
        (answer(classes=torch.rand(2, 1, 32, 32)), r"returned classes as torch.float32: expected"),
        (answer(confidence=torch.ones(2, 32, 32)), r"returned confidence \(2, 32, 32\)"),
    ],
)
def test_an_answer_of_another_form_is_one_sentence(labels, message):
    teacher = Hungry(99)
    teacher.tasks, teacher.label = ("depth", "normals", "semseg"), lambda *_: labels
    engine = LabelEngine([teacher], LabelConfig(height=64, patches=2, patch_size=32))
    with pytest.raises(MtpanoError, match=f"teacher 'hungry' {message}"):
        engine.label(ROOM)


def test_a_teacher_that_fails_as_it_is_opened_is_one_sentence(monkeypatch):
    def fail(*_):
        raise KeyError("encoder.weight")

    monkeypatch.setattr("mtpano_model.labels.teachers.moge.MoGe2", fail)
    with pytest.raises(MtpanoError, match=r"'moge2' cannot be opened \(KeyError: 'encoder.wei"):
        open_teacher("moge2", "indoor18")


# --- what is missing -----------------------------------------------------------------------------

FOREIGN = ["moge2", "moge2-normals", "moge3", "metric-anything", "da3metric", "dap", "da2", "da360",
           "pager", "unik3d"]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_missing_package_is_one_sentence_with_what_to_install(name, monkeypatch, tmp_path):
    for module in ("moge", "depth_anything_3", "networks", "da2", "unik3d", "src", "omegaconf"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MtpanoError, match=r"needs its authors' code .*(pip install|PYTHONPATH)"):
        open_teacher(f"{name}:{tmp_path / 'x'}", "indoor18", noncommercial=True)


@pytest.mark.parametrize("name", ["pager", "unik3d"])
def test_a_licence_against_commercial_use_has_to_be_agreed_to(name):
    with pytest.raises(MtpanoError, match=r"licensed under CC BY-NC.*give --noncommercial"):
        open_teacher(name, "indoor18")


@pytest.mark.parametrize("name", ["moge3", "da3metric", "da2", "unik3d"])
def test_weights_that_cannot_be_had_are_one_sentence(authors, name):
    with pytest.raises(MtpanoError, match=f"teacher '{name}:missing' cannot be loaded"):
        open_teacher(f"{name}:missing", "indoor18", noncommercial=True)


@pytest.mark.parametrize("name", ["dap", "da360"])
def test_weights_of_another_version_are_one_sentence(authors, tmp_path, name):
    with pytest.raises(MtpanoError, match="needs a checkpoint: give"):
        open_teacher(name, "indoor18")
    other = tmp_path / "other.pth"
    torch.save({"core.weight": torch.zeros(2, 2), "shift_mlp.weight": torch.zeros(7)}, other)
    with pytest.raises(MtpanoError, match=r"another version than its authors' code"):
        open_teacher(f"{name}:{other}", "indoor18")
    other.write_bytes(b"nothing")
    with pytest.raises(MtpanoError, match=r"other\.pth"):
        open_teacher(f"{name}:{other}", "indoor18")


def test_every_teacher_states_its_licence_for_the_store(authors):
    opened = [authors(name) for name in FOREIGN]
    assert all(entry["license"] for entry in describe(opened))
    assert set(FOREIGN) < set(TEACHERS)
