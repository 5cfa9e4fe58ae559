"""Samples the random views of a panorama."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.config import LabelConfig

# Kronecker sequence of the plastic number's analogue in three dimensions, the root of x^4 = x + 1:
# its points keep apart from each other (M. Roberts, "The unreasonable effectiveness of
# quasirandom sequences", 2018).
_ROOT = 1.2207440846057596
_STEP = (1 / _ROOT) ** np.arange(1, 4)


def sample_angles(
    config: LabelConfig, pitch_deg: tuple[float, float], name: str
) -> NDArray[np.float64]:
    """Yaw, pitch and horizontal field of view of every patch in degrees, [patches, 3].

    Each is uniform in its range (yaw over the full turn), as in the paper; together they spread
    evenly instead of independently, so that fewer pixels stay unseen. They follow from
    (config.seed, name) alone.
    """
    digest = hashlib.sha256(f"{config.seed}:{name}".encode(errors="surrogateescape")).digest()
    shift = np.random.default_rng(list(digest)).random(3)
    unit = (shift + np.arange(config.patches)[:, None] * _STEP) % 1
    low = np.array([0.0, pitch_deg[0], config.hfov_deg[0]])
    high = np.array([360.0, pitch_deg[1], config.hfov_deg[1]])
    return low + unit * (high - low)


def views_of(angles_deg: NDArray[np.float64], patch_size: int) -> Views:
    """Cameras at angles [N, 3] of `sample_angles`."""
    yaw, pitch, hfov = np.radians(angles_deg).T.tolist()
    return Views.look(yaw, pitch, hfov, (patch_size, patch_size))
