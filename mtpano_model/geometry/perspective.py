"""Samples perspective patches of panoramas and back, batched, on any torch device.

A patch is the picture of a pinhole camera at the panorama's centre. Its own optical frame has x
right, y down, z forward; the panorama's is that of `sphere`. Pixel centres are at half integers on
both sides, square pixels, principal point in the middle:

    f = w / (2 tan(hfov / 2))      d_cam = normalise(x, y, f)      d_pano = R_yaw R_pitch d_cam
    range = z / d_cam.z            n_pano = R n_cam

Sampling a panorama is exact at its borders: columns wrap at the seam, and beyond a pole the picture
goes on in the same row half a turn away (so the width must be even).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.geometry import sphere
from mtpano_model.geometry.sphere_rays import rays_like

Mode = Literal["bilinear", "nearest"]
Angles = Tensor | Sequence[float]


@dataclass(frozen=True)
class Views:
    """N perspective cameras that share a picture size.

    rotation: [N, 3, 3], d_pano = rotation @ d_cam. tan_half: [N], tan(hfov / 2).
    size: (h, w) of a patch in pixels.
    """

    rotation: Tensor
    tan_half: Tensor
    size: tuple[int, int]

    @classmethod
    def look(cls, yaw: Angles, pitch: Angles, hfov: Angles, size: tuple[int, int]) -> Views:
        """Cameras turned right by yaw and up by pitch, with a horizontal field of view; radians."""
        yaw, pitch, hfov = (torch.as_tensor(a, dtype=torch.float64) for a in (yaw, pitch, hfov))
        rotation = torch.stack(
            [
                torch.from_numpy(sphere.yaw_matrix(y) @ sphere.pitch_matrix(p))
                for y, p in zip(yaw.tolist(), pitch.tolist(), strict=True)
            ]
        )
        return cls(rotation.float(), (hfov / 2).tan().float(), size)

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, part: slice) -> Views:
        return Views(self.rotation[part], self.tan_half[part], self.size)

    def split(self, count: int) -> Iterator[Views]:
        """Consecutive groups of at most `count` cameras."""
        for start in range(0, len(self), count):
            yield self[start : start + count]

    def resized(self, size: tuple[int, int]) -> Views:
        """The same cameras with patches of another size and the same horizontal field of view."""
        return Views(self.rotation, self.tan_half, size)

    def to(self, device: torch.device | str) -> Views:
        """The same cameras on another device."""
        return Views(self.rotation.to(device), self.tan_half.to(device), self.size)


# --- rays, depth, normals ------------------------------------------------------------------------


def axis_cosine(views: Views) -> Tensor:
    """d_cam.z of every patch pixel, the cosine of its angle to the optical axis, [N, 1, h, w]."""
    x, y = _image_plane(views)
    return torch.rsqrt(x * x + y * y + 1)[:, None]


def camera_rays(views: Views) -> Tensor:
    """Unit ray of every patch pixel in the patch's own optical frame, [N, 3, h, w]."""
    x, y = _image_plane(views)
    plane = torch.stack(torch.broadcast_tensors(x, y, torch.ones_like(x)), 1)
    return plane * axis_cosine(views)


def z_to_range(z: Tensor, views: Views) -> Tensor:
    """Depth along the optical axis -> metres along each pixel's ray, [N, 1, h, w]."""
    return z / axis_cosine(views)


def range_to_z(distance: Tensor, views: Views) -> Tensor:
    """Metres along each pixel's ray -> depth along the optical axis, [N, 1, h, w]."""
    return distance * axis_cosine(views)


def rotate(vectors: Tensor, rotation: Tensor) -> Tensor:
    """Apply rotations [N, 3, 3] to vector fields [N, 3, ...].

    `views.rotation` brings a patch's normals to the panorama's frame, its transpose back.
    """
    return torch.einsum("nij,nj...->ni...", rotation, vectors)


def _image_plane(views: Views) -> tuple[Tensor, Tensor]:
    """Coordinates of pixel centres on the plane z = 1: x [N, 1, w] and y [N, h, 1]."""
    h, w = views.size
    device, t = views.tan_half.device, views.tan_half[:, None]
    x = t * ((2 * torch.arange(w, device=device) + 1 - w) / w)
    y = t * ((2 * torch.arange(h, device=device) + 1 - h) / w)
    return x[:, None, :], y[:, :, None]


# --- sphere -> patch -----------------------------------------------------------------------------


def to_patches(panorama: Tensor, views: Views, mode: Mode = "bilinear") -> Tensor:
    """Each camera's patch of a panorama: [C, H, W] (or one each, [N, C, H, W]) -> [N, C, h, w].

    Integer pictures stay integers (bilinear values are rounded). Vectors are sampled as they are:
    `rotate` them afterwards.
    """
    x, y = _image_plane(views)
    r = views.rotation[:, :, :, None, None]
    dx, dy, dz = (r[:, i, 0] * x + (r[:, i, 1] * y + r[:, i, 2]) for i in range(3))
    if panorama.ndim == 3:
        panorama = panorama.expand(len(views), -1, -1, -1)
    return Places(dx, dy, dz, panorama.shape[-2:]).sample(panorama, mode)


class Places:
    """Sampling places on N panoramas of `size` (H, W), for any number of maps of that size.

    x, y, z: directions in the panorama's optical frame, each [N, h, w] and of any length.
    """

    def __init__(self, x: Tensor, y: Tensor, z: Tensor, size: Sequence[int]):
        _, width = self.size = (size[0], size[1])
        if width % 2:
            raise ValueError(f"panorama width {width} is odd: poles continue half a turn away")
        self._lon = torch.atan2(x, z)
        self._lat = torch.atan2(y, torch.hypot(x, z))  # grows downward here

    @classmethod
    def turned(cls, rotation: Tensor, size: Sequence[int]) -> Places:
        """Where each pixel of a panorama comes from when rotations [N, 3, 3] turn the world.

        What was seen along d is then seen along rotation @ d. Sampled vectors are moved, not
        turned: `rotate` them too.
        """
        height, width = size
        # R^T d, as one row per component.
        x, y, z = torch.einsum("nji,jhw->inhw", rotation, rays_like(rotation, height, width)[0])
        return cls(x, y, z, size)

    def sample(self, panorama: Tensor, mode: Mode = "bilinear") -> Tensor:
        """Values [N, C, h, w] of maps [N, C, H, W]; nearest takes any type."""
        return self._nearest(panorama) if mode == "nearest" else self._bilinear(panorama)

    def _nearest(self, panorama: Tensor) -> Tensor:
        flat = self._pixels[:, None].expand(-1, panorama.shape[1], -1)
        return panorama.flatten(2).gather(2, flat).unflatten(-1, self._lon.shape[1:])

    @cached_property
    def _pixels(self) -> Tensor:
        """Flat index of the nearest pixel, [N, h * w]."""
        height, width = self.size
        column = ((self._lon + math.pi) * (width / (2 * math.pi))).long().remainder_(width)
        row = ((self._lat + math.pi / 2) * (height / math.pi)).long().clamp_(0, height - 1)
        return (row * width + column).flatten(1)

    def _bilinear(self, panorama: Tensor) -> Tensor:
        height, width = self.size
        # -1 to 1 from edge to edge, to the right and downward.
        grid = self._lon.new_empty(*self._lon.shape, 2)
        u, v = grid.unbind(-1)
        torch.mul(self._lon, 1 / math.pi, out=u)
        torch.mul(self._lat, 2 / math.pi, out=v)
        source = panorama if panorama.is_floating_point() else panorama.float()
        sampled = F.grid_sample(source, grid.to(source.dtype), align_corners=False)
        # Padding the whole panorama would cost more than sampling it: only the few pixels within
        # half a pixel of the seam or a pole are gathered across it.
        near_seam = u.abs() > 1 - 1 / width
        near_pole = v.abs() > 1 - 1 / height
        n, i, j = near_seam.logical_or_(near_pole).nonzero(as_tuple=True)
        sampled[n, :, i, j] = _sample_across(source, n, u[n, i, j], v[n, i, j])
        return sampled if panorama.is_floating_point() else sampled.round_().to(panorama.dtype)


def _sample_across(panorama: Tensor, n: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Bilinear values [P, C] of panoramas n [P] at u, v in -1..1, with the sphere's neighbours."""
    height, width = panorama.shape[-2:]
    column, row = (u + 1) * (width / 2) - 0.5, (v + 1) * (height / 2) - 0.5
    left, top = column.floor(), row.floor()
    total = torch.zeros(len(n), panorama.shape[1], dtype=panorama.dtype, device=panorama.device)
    for down in (0, 1):
        for right in (0, 1):
            weight = (1 - (column - left - right).abs()) * (1 - (row - top - down).abs())
            i, j = top.long() + down, left.long() + right
            beyond = (i < 0) | (i >= height)
            j = (j + beyond * (width // 2)) % width
            total += weight[:, None] * panorama[n, :, i.clamp(0, height - 1), j]
    return total


# --- patch -> sphere -----------------------------------------------------------------------------


def to_canvas(
    patches: Tensor, views: Views, size: tuple[int, int], mode: Mode = "bilinear"
) -> tuple[Tensor, Tensor]:
    """Patches [N, C, h, w] projected onto panoramas of `size` (H, W).

    Returns the canvas [N, C, H, W], 0 where a patch does not reach, and where it does: bool
    [N, 1, H, W]. The outermost half pixel of a patch repeats its border.
    """
    count, channels = patches.shape[:2]
    canvas = patches.new_zeros(count, channels, size[0] * size[1])
    seen = torch.zeros(count, 1, size[0] * size[1], dtype=torch.bool, device=patches.device)
    for n, (index, places) in enumerate(seen_pixels(views, size)):
        canvas[n, :, index] = sample_patch(patches[n], places, mode)
        seen[n, 0, index] = True
    return canvas.unflatten(-1, size), seen.unflatten(-1, size)


def seen_pixels(views: Views, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    """For each camera, the canvas pixels that it sees and their places in its patch.

    Yields flat canvas indices [P] (row * W + column) and patch coordinates [P, 2] (x, y), -1 to 1
    between the patch's outer edges. A camera sees about a fifth of the sphere, so working on the
    seen pixels alone saves most of the work.
    """
    h, w = views.size
    sin_cos, tan = _canvas_angles(*size, views.rotation.device)
    for rotation, tan_half in zip(views.rotation, views.tan_half, strict=True):
        half_plane = torch.stack([tan_half, tan_half * (h / w), torch.ones_like(tan_half)])
        to_camera = rotation.T / half_plane[:, None]
        # Rays divided by cos(latitude) separate into a part a column and a part a row.
        columns = to_camera[:, [0, 2]] @ sin_cos  # [3, W]
        rows = to_camera[:, 1:2] * tan  # [3, H]
        x, y, z = ((c[None, :] + r[:, None]).flatten() for c, r in zip(columns, rows, strict=True))
        index = ((x.abs() <= z) & (y.abs() <= z)).nonzero()[:, 0]
        yield index, torch.stack([x[index], y[index]], -1).div_(z[index, None])


def sample_patch(patch: Tensor, places: Tensor, mode: Mode = "bilinear") -> Tensor:
    """Values [C, P] of one patch [C, h, w] at places [P, 2] from `seen_pixels`."""
    if mode == "bilinear":
        source = patch if patch.is_floating_point() else patch.float()
        grid = places[None, None].to(source.dtype)
        sampled = F.grid_sample(source[None], grid, padding_mode="border", align_corners=False)
        values = sampled[0, :, 0]
        return values if patch.is_floating_point() else values.round_().to(patch.dtype)
    h, w = patch.shape[-2:]
    column = ((places[:, 0] + 1) * (w / 2)).long().clamp_(0, w - 1)
    row = ((places[:, 1] + 1) * (h / 2)).long().clamp_(0, h - 1)
    return patch.flatten(1)[:, row * w + column]


@lru_cache(maxsize=8)
def _canvas_angles(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(sin, cos) of longitude by column [2, W]; tan of the angle below the horizon by row [H]."""
    lon, lat = (
        torch.from_numpy(sphere.longitudes(width)),
        torch.from_numpy(sphere.latitudes(height)),
    )
    return torch.stack([lon.sin(), lon.cos()]).float().to(device), (-lat).tan().float().to(device)
