"""The seam: jumps of depth across it, and what rolling the picture changes."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import RNG, SIZE

from mtpano_model.geometry.sphere import rays
from mtpano_model.metrics.seam import SeamJumps, roll_error


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

    turned = np.roll(rgb, 8, axis=1)
    right = roll_error(honest(rgb), honest(turned), 8)
    assert right == pytest.approx({"depth_rel": 0, "normals_deg": 0, "labels": 0}, abs=1e-4)
    wrong = roll_error(seamed(rgb), seamed(turned), 8)
    assert wrong["normals_deg"] == pytest.approx(90)  # 8 of 32 columns are a quarter turn
    assert wrong["depth_rel"] > 0.1
    assert wrong["labels"] == 1


def test_what_is_sky_before_or_after_the_roll_leaves_the_depth_error_finite() -> None:
    depth = np.full((1, 4), 2.0)
    rolled = np.array([[2.2, np.inf, np.nan, 2.2]])
    rest = np.zeros((1, 4, 3)), np.zeros((1, 4), int)
    assert roll_error((depth, *rest), (rolled, *rest), 1)["depth_rel"] == pytest.approx(0.1)
    nowhere = np.full((1, 4), np.inf)
    assert roll_error((nowhere, *rest), (rolled, *rest), 1)["depth_rel"] == 0
