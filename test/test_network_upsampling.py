"""Learnt up-sampling: begins as bilinear interpolation, keeps planes plane, rolls with the view."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from box_room import cast, panorama_rays

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.decoders.upsampling import (
    ConvexWeights,
    upsample_convex,
    upsample_depth,
)
from mtpano_model.network.padding import Padding, upsample
from mtpano_model.network.pd_bridgenet import confidence_of

HOW = Padding()
HEIGHT = 64


def first_weights(size: tuple[int, int]) -> torch.Tensor:
    """What an untrained network says, whatever it sees."""
    height, width = size
    layer = ConvexWeights(1, 4, 8)
    picture = torch.randn(1, 3, 2 * height, 2 * width)
    return layer([torch.randn(1, 4, height, width)], picture).detach()


def any_weights(size: tuple[int, int]) -> torch.Tensor:
    return torch.randn(1, 4, 4, *size).mul(3).softmax(1)


def test_it_begins_as_bilinear_interpolation() -> None:
    x = torch.randn(1, 3, 8, 16)
    expected = upsample(x, 2, HOW)
    torch.testing.assert_close(upsample_convex(x, first_weights((8, 16)), HOW), expected)


def test_no_value_leaves_the_range_of_its_four_neighbours() -> None:
    x = torch.randn(1, 1, 8, 16)
    fine = upsample_convex(x, any_weights((8, 16)), HOW)
    assert fine.max() <= x.max()
    assert fine.min() >= x.min()


def test_it_rolls_with_the_panorama() -> None:
    x, weights = torch.randn(1, 2, 8, 16), any_weights((8, 16))
    rolled = upsample_convex(x.roll(5, -1), weights.roll(5, -1), HOW)
    torch.testing.assert_close(rolled, upsample_convex(x, weights, HOW).roll(10, -1))


def test_the_walls_of_a_box_stay_plane_whatever_the_weights() -> None:
    depth, normal, wall = cast(panorama_rays(HEIGHT))
    fine, _, _ = cast(panorama_rays(2 * HEIGHT))
    weights = any_weights((HEIGHT, 2 * HEIGHT))
    answer = upsample_depth(depth[None, None], normal[None].float(), weights, HOW)[0, 0]
    # Inside a wall: all coarse pixels about belong to it.
    around = torch.nn.functional.unfold(
        torch.nn.functional.pad(wall[None, None].float(), (1, 1, 1, 1), mode="replicate"), 3
    ).view(9, HEIGHT, 2 * HEIGHT)
    inside = (around == wall).all(0).repeat_interleave(2, 0).repeat_interleave(2, 1)
    inside[[0, 1, -1, -2]] = False
    inside[:, [0, 1, -1, -2]] = False
    error = ((answer - fine).abs() / fine)[inside]
    assert inside.float().mean() > 0.8
    assert error.max() < 1e-4
    flat = upsample_depth(depth[None, None], None, weights, HOW)[0, 0]
    assert ((flat - fine).abs() / fine)[inside].max() > 1e-2


def test_a_turned_room_has_turned_depth() -> None:
    depth, normal, _ = cast(panorama_rays(HEIGHT))
    weights = any_weights((HEIGHT, 2 * HEIGHT))
    still = upsample_depth(depth[None, None], normal[None].float(), weights, HOW)
    turn = torch.from_numpy(sphere.yaw_matrix(sphere.yaw_of_column_shift(5, 2 * HEIGHT))).float()
    normals = torch.einsum("ij,jhw->ihw", turn, normal.float()).roll(5, -1)
    rolled = upsample_depth(depth.roll(5, -1)[None, None], normals[None], weights.roll(5, -1), HOW)
    torch.testing.assert_close(rolled, still.roll(10, -1), rtol=1e-4, atol=1e-4)


def test_depth_stays_finite_and_positive_for_any_normals() -> None:
    depth = torch.rand(1, 1, 8, 16).mul(100).add(1e-6)
    for normals in (torch.randn(1, 3, 8, 16), torch.zeros(1, 3, 8, 16)):
        fine = upsample_depth(depth, normals, any_weights((8, 16)), HOW)
        assert torch.isfinite(fine).all()
        assert (fine > 0).all()


def small(**changes: object) -> PDBridgeNet:
    torch.manual_seed(0)
    decoder = dataclasses.replace(preset("nano").decoder, upsampling="convex", upsampling_width=8)
    return PDBridgeNet(preset("nano", decoder=decoder, **changes)).eval()


@pytest.mark.parametrize(
    "tasks",
    [
        ("depth",),
        ("normals",),
        ("depth", "confidence"),
        ("semseg", "depth", "normals", "confidence"),
    ],
)
def test_every_choice_of_tasks_is_predicted_at_the_pictures_size(tasks: tuple[str, ...]) -> None:
    net = small(tasks=tasks)
    answer = net(torch.rand(1, 3, 128, 256) * 255)
    assert set(answer.final) == set(tasks)
    assert all(x.shape[-2:] == (128, 256) for x in answer.final.values())
    assert (answer.log_scale is not None) == ("confidence" in tasks)


def test_confidence_is_the_probability_of_one_part_in_ten() -> None:
    """Against samples of the Laplace distribution whose scale the network names."""
    log_scale = torch.tensor([-4.0, -2.0, -1.0])
    errors = torch.distributions.Laplace(torch.zeros(3), log_scale.exp()).sample((20000,))
    ratio = errors.exp()
    share = ((ratio < 1.1) & (ratio > 1 / 1.1)).float().mean(0)
    torch.testing.assert_close(confidence_of(log_scale), share, atol=0.02, rtol=0)


def test_confidence_and_up_sampling_want_the_light_decoder() -> None:
    with pytest.raises(MtpanoError, match="decoder 'dpt'"):
        preset("base", tasks=("semseg", "depth", "normals", "confidence"))
