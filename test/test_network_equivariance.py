"""Rolling the panorama: what must follow exactly, and where a seam could hide."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from networks import seeded, tiny

from mtpano_model.network.padding import Padding
from mtpano_model.network.pd_bridgenet import Predictions

CONVOLUTIONAL = [("small", "replicate"), ("small", "half_turn"), ("nano", "replicate")]


def _rolled(net, image, columns, with_maps=True):
    """Predictions for the rolled image, geometry maps rolled too or not."""
    tokens = columns // net.config.token_stride
    maps = (net.ray, net.position)
    if with_maps:
        maps = tuple(m.roll(tokens, -1) for m in maps)
    with torch.inference_mode():
        return net.predict(net.normalize(image.roll(columns, -1)), maps)


def _without_planes(name):
    """Learnt up-sampling knows where rays point: what it does rolls if normals are turned as well,
    as `test_network_upsampling` shows."""
    decoder = tiny(name).decoder
    return {"decoder": dataclasses.replace(decoder, upsampling="bilinear")}


def _everything(out: Predictions):
    for kind in ("final", "initial", "auxiliary"):
        for name, map_ in getattr(out, kind).items():
            yield f"{kind}.{name}", map_


@pytest.fixture(scope="module", params=CONVOLUTIONAL, ids="-".join)
def net(request):
    name, rows = request.param
    return seeded(tiny(name, padding=Padding(rows=rows), **_without_planes(name)))


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(3)) * 255


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_image_and_maps_rolled_together_roll_every_output(net, image, steps):
    columns = steps * net.config.coarsest_stride
    still, rolled = _rolled(net, image, 0), _rolled(net, image, columns)
    for (name, a), (_, b) in zip(_everything(still), _everything(rolled), strict=True):
        difference = (a.roll(columns, -1) - b).abs().max()
        assert difference < 1e-4 * max(1.0, a.abs().max().item()), name


def test_maps_fixed_the_invariant_initial_predictions_still_roll(net, image):
    columns = net.config.coarsest_stride
    still, rolled = _rolled(net, image, 0), _rolled(net, image, columns, with_maps=False)
    for kind, name in (
        ("initial", "semseg"),
        ("initial", "depth"),
        ("auxiliary", "grad"),
        ("auxiliary", "edf"),
    ):
        a, b = getattr(still, kind)[name], getattr(rolled, kind)[name]
        assert (a.roll(columns, -1) - b).abs().max() < 1e-4 * max(1.0, a.abs().max().item())


def test_maps_fixed_the_variant_stream_sees_absolute_rays(net, image):
    """Otherwise the modulation would be dead and the test above would prove nothing."""
    columns = net.config.coarsest_stride
    still, rolled = _rolled(net, image, 0), _rolled(net, image, columns, with_maps=False)
    a, b = still.initial["normals"], rolled.initial["normals"]
    assert (a.roll(columns, -1) - b).abs().max() > 1e-3


def test_zero_padding_has_a_seam(image):
    """The counterpart: what the circular padding is there for."""
    net = seeded(tiny("small", padding=Padding(columns="zeros", rows="zeros")))
    columns = net.config.coarsest_stride
    still, rolled = _rolled(net, image, 0), _rolled(net, image, columns)
    a, b = still.final["depth"], rolled.final["depth"]
    assert (a.roll(columns, -1) - b).abs().max() > 1e-3


def _column_jumps(x):
    """Mean absolute difference of each column to its right neighbour; the last crosses the seam."""
    return (x - x.roll(-1, -1)).abs().mean((0, 1, 2))


@pytest.mark.parametrize("position", ["sincos", "angles"])
def test_no_seam_column_stands_out(position):
    """On a picture without a seam of its own, the jump across the wrap is an ordinary one.

    The picture repeats every 32 columns, so that only position can tell columns 32 apart: the jump
    across the wrap is compared with those at the other borders between repetitions.
    """
    net = seeded(tiny("small", position=position, **_without_planes("small")))
    tile = torch.rand(1, 3, 64, 32, generator=torch.Generator().manual_seed(5)) * 255
    with torch.inference_mode():
        out = net(tile.repeat(1, 1, 1, 4))
    for name, map_ in _everything(out):
        jumps = _column_jumps(map_)[31::32]  # at columns 31|32, 63|64, 95|96, 127|0
        if position == "sincos":
            assert jumps[-1] <= 1.5 * jumps[:-1].max(), name
    if position == "angles":  # raw longitude jumps by 2 pi there, which the variant stream shows
        jumps = _column_jumps(out.initial["normals"])[31::32]
        assert jumps[-1] > 1.5 * jumps[:-1].max()
