"""An answer may be corrected between the network and the frame, on a grid of any size."""

from __future__ import annotations

import numpy as np
import pytest
from fake_model import write_fake_model

from mtpano_model.inference import load_estimator
from mtpano_model.inference.answer import Answer

SIZE = (32, 64)


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def estimator(tmp_path_factory, request):
    path = write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx", tail=request.param)
    with load_estimator(path) as estimator:
        yield estimator


@pytest.fixture(scope="module")
def outputs(estimator):
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    return estimator.infer(estimator.preprocess(picture))


def test_an_adjustment_that_changes_nothing_changes_nothing(estimator, outputs):
    seen = []
    plain = estimator.postprocess(outputs, SIZE)
    frame = estimator.postprocess(outputs, SIZE, adjust=lambda a, s: seen.append((a, s)) or a)
    ((answer, size),) = seen
    assert size == SIZE
    assert answer.planes.shape == (4, *answer.labels.shape)
    assert (answer.logits is None) == (estimator.info.tail == "gpu")
    for name in ("depth", "normals", "labels"):
        np.testing.assert_array_equal(getattr(frame, name), getattr(plain, name))


@pytest.mark.parametrize("wanted", ["depth", "normals", "labels"])
def test_it_gets_all_whatever_is_wanted_and_may_answer_on_a_finer_grid(estimator, outputs, wanted):
    grid = (32, 64)

    def adjust(answer, size):
        assert answer.planes.shape[0] == 4
        planes = np.empty((4, *grid), np.float32)
        planes[0], planes[1:] = 7, np.array([0, 0, 1], np.float32)[:, None, None]
        sure = np.full(grid, 0.25, np.float32)
        return Answer(planes, np.full(grid, 5, answer.labels.dtype), None, {"sure": sure})

    frame = estimator.postprocess(outputs, SIZE, wanted={wanted}, adjust=adjust)
    expected = {"depth": 7, "normals": (0, 0, 1), "labels": 5}[wanted]
    assert (getattr(frame, wanted) == expected).all()
    assert (frame.extras["sure"] == 0.25).all()
    assert frame.extras["sure"].shape == SIZE
