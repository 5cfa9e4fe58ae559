"""Augmentation that keeps the geometry true.

Rotating and mirroring move every target with the picture, and turn the vectors; metres stay.
Stretching makes another room, whose depth and normals are computed anew. Colours change as in
cameras: exposure, tone, white balance, blur, noise, JPEG.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.data.pseudo_encoding import decode_rgb, encode_rgb
from mtpano_model.data.sample import Sample
from mtpano_model.geometry import sphere
from mtpano_model.geometry.perspective import Places


@dataclass(frozen=True)
class AugmentConfig:
    """How much a training sample is changed; the default changes nothing.

    yaw: roll the panorama by a random number of columns. mirror: probability of swapping sides.
    tilt_probability: of a tilt. tilt_deg: its largest pitch and roll in degrees (uniform).
    stretch: largest change of a room's extent along each of its walls, as a logarithm (uniform).
    exposure: largest change in stops. gamma, contrast, saturation, color: largest relative change
        (color: of the gain of each channel).
    blur: probability of a Gaussian blur of up to blur_sigma pixels.
    noise: probability of Gaussian noise of up to noise_sigma of 255.
    stitch: probability of a seam as between two joined pictures, of up to 2 stitch_step of 255.
    jpeg: probability of a JPEG round trip at a quality from jpeg_quality to 95.
    """

    yaw: bool = False
    mirror: float = 0.0
    tilt_probability: float = 0.0
    tilt_deg: float = 5.0
    stretch: float = 0.0
    exposure: float = 0.0
    gamma: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    color: float = 0.0
    blur: float = 0.0
    blur_sigma: float = 1.2
    noise: float = 0.0
    noise_sigma: float = 8.0
    stitch: float = 0.0
    stitch_step: float = 8.0
    jpeg: float = 0.0
    jpeg_quality: int = 40


STRONG = AugmentConfig(
    yaw=True,
    mirror=0.5,
    tilt_probability=0.6,
    tilt_deg=10.0,
    exposure=0.8,
    gamma=0.25,
    contrast=0.25,
    saturation=0.4,
    color=0.12,
    blur=0.25,
    noise=0.3,
    stitch=0.5,
    jpeg=0.3,
)


def augment(sample: Sample, config: AugmentConfig, rng: np.random.Generator) -> Sample:
    """A randomly changed copy; the same generator state gives the same copy."""
    if config.yaw:
        sample = roll_yaw(sample, int(rng.integers(sample.size[1])))
    if rng.random() < config.mirror:
        sample = mirror(sample)
    if config.stretch:
        sample = stretch(sample, *np.exp(rng.uniform(-config.stretch, config.stretch, 2)))
    if rng.random() < config.tilt_probability:
        pitch, roll = np.radians(rng.uniform(-config.tilt_deg, config.tilt_deg, 2))
        sample = rotate(sample, sphere.pitch_matrix(pitch) @ sphere.roll_matrix(roll))
    image = photometric(sample.rgb, config, rng)
    return replace(sample, image=torch.from_numpy(image).permute(2, 0, 1).contiguous())


# --- geometry ------------------------------------------------------------------------------------


def roll_yaw(sample: Sample, shift: int) -> Sample:
    """Roll by `shift` columns to the right; normals turn by the same yaw."""
    if shift % sample.size[1] == 0:
        return sample
    rotation = sphere.yaw_matrix(sphere.yaw_of_column_shift(shift, sample.size[1]))
    return _map_tensors(sample, lambda x: x.roll(shift, -1), rotation)


def mirror(sample: Sample) -> Sample:
    """Swap left and right; the x component of normals changes sign."""
    return _map_tensors(sample, lambda x: x.flip(-1), np.diag([-1.0, 1.0, 1.0]))


def rotate(sample: Sample, rotation: NDArray[np.float64]) -> Sample:
    """Turn the world by a 3x3 rotation in the optical frame: what was seen along d is now at R d.

    RGB is bilinear; depth, normals and classes take the nearest pixel. Range along the ray does
    not change under rotation.
    """
    places = Places.turned(torch.from_numpy(rotation).float()[None], sample.size)
    return _resample(sample, places, rotation)


def stretch(sample: Sample, along: float, across: float) -> Sample:
    """The room as if it were longer: what was at P is now at S P (PanoStretch of HorizonNet).

    S, symmetric, scales by `along` the horizontal direction of most wall normals, and by `across`
    the one at right angles to it, so that corners stay square; heights stay. A range r seen along
    d becomes r / |S^-1 d'| along the new direction d', a normal n becomes S^-1 n, normalised.
    """
    heading = sphere.yaw_matrix(wall_heading(sample))
    inverse = heading @ np.diag([1 / across, 1.0, 1 / along]) @ heading.T
    source = torch.from_numpy(sphere.rays(*sample.size) @ inverse.astype(np.float32))  # [H, W, 3]
    x, y, z = source[None].unbind(-1)
    moved = _resample(sample, Places(x, y, z, sample.size), inverse)
    return replace(
        moved,
        depth=moved.depth / source.norm(dim=-1),
        normals=F.normalize(moved.normals, dim=0),
    )


def wall_heading(sample: Sample) -> float:
    """Yaw of the room's walls in radians, -pi/4 to pi/4: four normals at right angles are one."""
    x, y, z = sample.normals[:, ::4, ::4]
    level = sample.normals_valid[0, ::4, ::4] & (y.abs() < 0.1)
    angle = 4 * torch.atan2(x[level], z[level])
    return float(torch.atan2(angle.sin().sum(), angle.cos().sum())) / 4


def _resample(sample: Sample, places: Places, matrix: NDArray[np.float64]) -> Sample:
    """RGB bilinear, every target from the nearest pixel; a 3x3 matrix is applied to the vectors."""
    height, width = sample.size

    def nearest(x: Tensor) -> Tensor:
        return places.sample(x.reshape(1, -1, height, width), "nearest").reshape(x.shape)

    moved = _map_tensors(replace(sample, image=sample.image[:0]), nearest, matrix)
    return replace(moved, image=places.sample(sample.image[None])[0])


def _map_tensors(
    sample: Sample, move: Callable[[Tensor], Tensor], matrix: NDArray[np.float64]
) -> Sample:
    """Apply `move` to every map and a 3x3 matrix to the vectors."""
    turn = torch.from_numpy(matrix).float()
    normals = torch.einsum("ij,jhw->ihw", turn, move(sample.normals))
    return replace(
        sample,
        image=move(sample.image),
        depth=move(sample.depth),
        depth_valid=move(sample.depth_valid),
        normals=normals,
        normals_valid=move(sample.normals_valid),
        semseg=move(sample.semseg),
        confidence=None if sample.confidence is None else move(sample.confidence),
    )


# --- colours -------------------------------------------------------------------------------------


def photometric(
    image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """What the camera may do to a uint8 [H, W, 3] picture."""
    gain, gamma, contrast, saturation = (
        2.0 ** rng.uniform(-config.exposure, config.exposure),
        1 + rng.uniform(-config.gamma, config.gamma),
        1 + rng.uniform(-config.contrast, config.contrast),
        1 + rng.uniform(-config.saturation, config.saturation),
    )
    color = 1 + rng.uniform(-config.color, config.color, 3)
    if config.exposure or config.gamma or config.contrast or config.color:
        level = np.arange(256)[:, None] / 255 * gain * color  # [256, 3]
        level = (np.clip(level, 0, None) ** gamma - 0.5) * contrast + 0.5
        table = np.clip(level * 255 + 0.5, 0, 255).astype(np.uint8)[None]
        image = _uint8(cv2.LUT(image, table))
    if config.saturation:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = _uint8(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0))
    if rng.random() < config.blur:
        image = _blur(image, rng.uniform(0.3, config.blur_sigma))
    if rng.random() < config.noise:
        noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(0, config.noise_sigma)
        image = _uint8(np.clip(image + noise + 0.5, 0, 255))
    if rng.random() < config.stitch:
        image = _stitch(image, config.stitch_step, rng)
    if rng.random() < config.jpeg:
        image = decode_rgb(encode_rgb(image, int(rng.integers(config.jpeg_quality, 96))))
    return image


def _blur(image: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    border = 4
    wrapped = cv2.copyMakeBorder(image, 0, 0, border, border, cv2.BORDER_WRAP)
    return _uint8(cv2.GaussianBlur(wrapped, (0, 0), sigma)[:, border:-border])


def _stitch(
    image: NDArray[np.uint8], largest: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Colours that step at one column, differently from row to row, and fade on both sides.

    Lenses are exposed apart, and filters and denoisers stop at a picture's border: the network must
    not take such a line for an edge of something.
    """
    height, width = image.shape[:2]
    rough = rng.uniform(-largest, largest, (int(rng.integers(1, 17)), 1, 3)).astype(np.float32)
    step = cv2.resize(rough, (1, height), interpolation=cv2.INTER_LINEAR)  # [H, 1, 3]
    reach = int(rng.integers(2, max(width // 8, 3)))
    fade = 1 - np.arange(reach, dtype=np.float32) / reach
    profile = np.concatenate([-fade[::-1], fade])[None, :, None]
    columns = (rng.integers(width) + np.arange(-reach, reach)) % width
    stitched = image.copy()
    stitched[:, columns] = np.clip(image[:, columns] + profile * step + 0.5, 0, 255)
    return stitched


def _uint8(image: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image, np.uint8)
