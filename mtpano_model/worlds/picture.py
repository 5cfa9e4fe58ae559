"""Turns linear light into the picture of a camera: exposure, tone curve, noise and caps."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import latitudes

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
Curve = str


def expose(
    light: NDArray[np.floating], rng: random.Random, dark: bool = False, frame: int = 0
) -> tuple[NDArray[np.uint8], str]:
    """RGB uint8 [H, W, 3] of linear RGB, and the name of the tone curve.

    The logarithmic mean of the luminance, weighted by solid angle, goes to a random grey; one
    picture in eight comes out over- or under-exposed; white balance corrects part of the way.
    frame: of a drive, whose frames differ in their noise alone.
    """
    weight = np.cos(latitudes(light.shape[0]))[:, None]
    luminance = np.maximum(light @ _LUMINANCE, 0)
    key = math.exp(
        float((np.log(luminance + 1e-4) * weight).sum() / (weight.sum() * light.shape[1]))
    )
    grey = rng.uniform(0.13, 0.30)
    slip = rng.random()
    if dark or slip < 0.06:
        grey *= rng.uniform(0.12, 0.45)
    elif slip < 0.12:
        grey *= rng.uniform(1.8, 3.5)
    x = np.maximum(light, 0) * (grey / key)
    mean = (x * weight[..., None]).sum((0, 1))
    balance = (mean.mean() / np.maximum(mean, 1e-6)) ** rng.uniform(0.3, 1.0)
    x = (
        x
        * np.clip(balance, 0.4, 2.5)
        * np.array([rng.uniform(0.95, 1.06), 1, rng.uniform(0.95, 1.06)])
    )
    curve = rng.choice(("filmic", "rolloff", "clip"))
    if curve == "filmic":  # a rational fit of a film's curve
        x = 0.9 * x
        x = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    elif curve == "rolloff":  # Reinhard's operator with a white point
        white = rng.uniform(2.5, 6.0)
        x = x * (1 + x / white**2) / (1 + x) * 1.25
    return to_srgb(_with_noise(np.clip(x, 0, 1), rng, frame)), curve


def to_srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """IEC 61966-2-1 encoding of linear values in 0..1, 8 bits."""
    curved = 1.055 * np.power(np.maximum(linear, 1e-6), 1 / 2.4) - 0.055
    coded = np.where(linear <= 0.0031308, 12.92 * linear, curved)
    return np.asarray(np.clip(coded, 0, 1) * 255 + 0.5, np.uint8)


def _with_noise(x: NDArray[np.floating], rng: random.Random, frame: int) -> NDArray[np.floating]:
    """Photon and read noise of a small sensor, in half of the pictures."""
    if rng.random() < 0.5:
        return x
    generator = np.random.default_rng(rng.getrandbits(32) + frame)
    strength = rng.uniform(0.002, 0.02)
    noise = generator.standard_normal(x.shape) * np.sqrt(
        np.maximum(x, 0) * strength**2 + (strength / 4) ** 2
    )
    return np.clip(x + noise, 0, 1)


def caps(rgb: NDArray[np.uint8], rng: random.Random) -> NDArray[np.bool_]:
    """Cover one or both poles as stitching software does, in place; the covered pixels [H, W].

    A cap is black, grey or blurred; black holes, as scans have them, come along now and then.
    """
    height, width, _ = rgb.shape
    covered = np.zeros((height, width), bool)
    draw = rng.random()
    if draw > 0.14:
        return covered
    reach = math.radians(rng.uniform(6, 32))
    bottom = latitudes(height) < -math.pi / 2 + reach
    top = latitudes(height) > math.pi / 2 - rng.uniform(0.3, 1.0) * reach
    rows = bottom | top if draw < 0.03 else bottom
    covered[rows] = True
    style = rng.choice(("black", "black", "grey", "blur"))
    if style == "blur":
        blurred = cv2.blur(np.concatenate([rgb] * 3, axis=1), (width // 2 + 1, height // 8 + 1))
        rgb[rows] = blurred[:, width : 2 * width][rows]
    else:
        rgb[rows] = 0 if style == "black" else rng.randint(20, 200)
    return covered


def holes(rgb: NDArray[np.uint8], rng: random.Random) -> NDArray[np.bool_]:
    """Black holes of a scan, in place, in one picture of thirty; the covered pixels [H, W]."""
    height, width, _ = rgb.shape
    covered = np.zeros((height, width), np.uint8)
    if rng.random() < 1 / 30:
        for _ in range(rng.randint(1, 4)):
            x, y = rng.randrange(width), rng.randrange(height // 8, height * 7 // 8)
            corners = [
                (x + rng.uniform(-0.06, 0.06) * width, y + rng.uniform(-0.12, 0.12) * height)
                for _ in range(rng.randint(3, 7))
            ]
            cv2.fillPoly(covered, [np.array(corners, np.int32)], 1)
        rgb[covered > 0] = 0
    return covered > 0
