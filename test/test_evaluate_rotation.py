"""The rotation study: it sees what depends on the camera's direction, and only that."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from box_room import write_rooms
from networks import seeded, tiny

from mtpano_model.classes import load_class_set
from mtpano_model.commands.rotation_study import Args, run
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.charts import line_chart
from mtpano_model.evaluation.data_sets import Comparison, open_comparison
from mtpano_model.evaluation.features import feature_stability, pca_pictures, token_features
from mtpano_model.evaluation.rotation import Turned, turn_study
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.metrics.protocols import find_protocol
from mtpano_model.network.pretrained import save_pretrained

SIZE = (64, 128)
ROOMS = find_protocol("rooms")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rooms(tmp_path_factory.mktemp("rooms"), count=12, height=SIZE[0])


@pytest.fixture
def comparison(rooms: Path) -> Comparison:
    return open_comparison("rooms", rooms, load_class_set("indoor18"))


class ByColor:
    """Depth and class from each pixel's colour; normals always (0, 0, -1): it knows no yaw."""

    about: dict[str, str]

    def __init__(self, *, tilted: bool = False) -> None:
        self.about = {}
        self.classes = load_class_set("indoor18")
        self.tilted = tilted

    def __call__(self, rgb: np.ndarray, size: tuple[int, int]) -> Maps:
        depth = 1 + rgb[..., 0].astype(np.float32) / 100
        if self.tilted:  # sees the left half as deeper, wherever the camera looks
            depth[:, : size[1] // 2] *= 2
        normals = np.broadcast_to(np.float32([0, 0, -1]), (*size, 3))
        return Maps(depth, normals, (rgb[..., 1] // 64).astype(np.uint8))


def test_figures_of_a_function_of_pixels_do_not_change_under_roll(comparison: Comparison) -> None:
    rolled, _ = turn_study(
        ByColor(), comparison, ROOMS, rolls=5, pitches=(0,), limit=1, show_progress=False
    )
    spreads = rolled.spreads()
    assert rolled.degrees == (0, 73.125, 143.4375, 216.5625, 286.875)  # whole columns of 128
    for name in ("depth.abs_rel", "depth.rmse", "semseg.pixel_accuracy"):
        assert spreads[name]["spread"] == pytest.approx(0, abs=1e-6)
    assert spreads["normals.mean_deg"]["spread"] > 0.001  # its normals do not turn along


def test_a_model_that_favours_a_direction_is_found_out(comparison: Comparison) -> None:
    rolled, _ = turn_study(
        ByColor(tilted=True), comparison, ROOMS, rolls=4, pitches=(0,), limit=1, show_progress=False
    )
    assert rolled.spreads()["depth.abs_rel"]["spread"] > 0.03


def test_no_pitch_is_the_frame_itself_and_pitch_keeps_a_function_of_pixels(
    comparison: Comparison,
) -> None:
    rolled, pitched = turn_study(
        ByColor(), comparison, ROOMS, rolls=1, pitches=(-10, 0, 10), limit=1, show_progress=False
    )
    assert pitched.figures[1] == rolled.figures[0]
    assert pitched.series("depth", "abs_rel") == pytest.approx(
        [pitched.series("depth", "abs_rel")[1]] * 3, rel=0.1
    )


def test_spread_by_hand() -> None:
    turned = Turned((0, 1, 2), tuple({"depth": {"abs_rel": v}} for v in (0.1, 0.2, 0.3)))
    partial = {"depth.abs_rel": {"mean": 0.2, "std": np.sqrt(0.02 / 3), "spread": 0.5}}
    missing = {"delta1": 1.0, "rmse": 1.0}
    whole = Turned(
        turned.degrees, tuple({"depth": {**f["depth"], **missing}} for f in turned.figures)
    )
    assert whole.spreads()["depth.abs_rel"] == pytest.approx(partial["depth.abs_rel"])
    assert "semseg.miou" not in whole.spreads()


def test_backbone_and_invariant_features_roll_and_modulated_ones_do_not() -> None:
    net = seeded(tiny("nano"))
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    found = feature_stability(net, [picture], SIZE, steps=4)
    assert found.degrees == (0, 90, 180, 270)
    assert min(found.similarity["backbone"]) > 0.9999
    assert min(found.similarity["invariant"]) > 0.9999
    assert found.similarity["variant"][0] == pytest.approx(1, abs=1e-5)
    assert max(found.similarity["variant"][1:]) < 0.9999


def test_features_are_those_of_the_deepest_tap() -> None:
    net = seeded(tiny("nano"))
    picture = np.zeros((*SIZE, 3), np.uint8)
    features = token_features(net, picture, SIZE)
    assert [tuple(f.shape) for f in features] == [(32, 4, 8)] * 3
    assert not net.refiners[-1]._forward_hooks


def test_component_pictures_roll_with_the_panorama() -> None:
    net = seeded(tiny("nano"))
    picture = np.random.default_rng(1).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    pictures = pca_pictures(net, picture, SIZE, [0, 64])
    for kind in ("backbone", "invariant"):
        still, turned = pictures[kind]
        assert still.shape == (4, 8, 3)
        assert still.std() > 10
        np.testing.assert_allclose(turned, np.roll(still, 4, axis=1), atol=1)


def test_the_command_writes_charts_and_numbers(
    rooms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_pretrained(seeded(tiny("nano")), tmp_path / "net")
    args = Args(
        rooms,
        model=str(tmp_path / "net.safetensors"),
        out=tmp_path / "out",
        split=None,
        limit=2,
        rolls=2,
        pitches=3,
        feature_frames=1,
    )
    assert run(args) == 0
    facts = json.loads((tmp_path / "out" / "rotation.json").read_text())
    assert facts["roll"]["degrees"] == [0, 180]
    assert facts["pitch"]["degrees"] == [-10, 0, 10]
    assert facts["about"]["frames"] == 2
    assert set(facts["features"]["similarity"]) == {"backbone", "invariant", "variant"}
    page = (tmp_path / "out" / "rotation.html").read_text()
    for name in ("roll.png", "pitch.png", "features.png", "components.png"):
        assert name in page
        assert cv2.imread(str(tmp_path / "out" / name)) is not None
    assert "yaw roll, 2 angles:" in capsys.readouterr().out
    with pytest.raises(MtpanoError, match=r"--rolls 0 .*expected 1 or more"):
        run(Args(rooms, model=str(tmp_path / "net.safetensors"), rolls=0))


def test_a_chart_draws_each_line_where_it_belongs() -> None:
    chart = line_chart([0, 1], {"low": [0, 0], "high": [1, 1]}, "degrees", "share")
    low, high = chart.axes[0].lines
    assert (low.get_label(), *low.get_ydata()) == ("low", 0, 0)
    assert (high.get_label(), *high.get_ydata()) == ("high", 1, 1)
    assert chart.axes[0].get_xlabel() == "degrees"
