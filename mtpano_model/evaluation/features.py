"""How features change when the panorama is rolled: backbone, invariant and variant tokens.

After figure 5b of arXiv 2602.05330: the invariant stream should not depend on where the camera
looks, and the variant stream should.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.inference.preprocess import preprocess
from mtpano_model.network import PDBridgeNet

KINDS = ("backbone", "invariant", "variant")


@dataclass(frozen=True)
class FeatureStability:
    """Mean cosine similarity of f(roll x) rolled back with f(x), by kind, at each angle."""

    degrees: tuple[float, ...]
    similarity: dict[str, tuple[float, ...]]


@torch.inference_mode()
def token_features(net: PDBridgeNet, rgb: NDArray[np.uint8], size: tuple[int, int]) -> list[Tensor]:
    """Tokens [C, h, w] of the deepest tap: as the backbone gives it, invariant, variant.

    The network runs where its weights are; the tokens come to the CPU.
    """
    caught: list[Tensor] = []

    def catch(_: object, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, Tensor]) -> None:
        caught.extend(feature[0].float().cpu() for feature in (inputs[0], *outputs))

    handle = net.refiners[-1].register_forward_hook(catch)
    try:
        device = next(net.parameters()).device
        picture = torch.from_numpy(preprocess(rgb, size)).to(device).permute(0, 3, 1, 2).float()
        net.predict(net.normalize(picture), full_size=False)
    finally:
        handle.remove()
    return caught


def feature_stability(
    net: PDBridgeNet,
    pictures: Sequence[NDArray[np.uint8]],
    size: tuple[int, int],
    steps: int = 8,
) -> FeatureStability:
    """Roll each picture through 360 degrees in steps of whole tokens and compare its features.

    size: (H, W) of the network's input, to which pictures are brought first. steps: how many
    angles, fewer where the token grid has fewer columns. Features are compared after each channel's
    mean over the picture was taken off: what all tokens share says nothing about where they are.
    """
    stride = net.config.coarsest_stride
    columns = size[1] // stride
    shifts = sorted({round(columns * step / steps) * stride for step in range(steps)})
    sums = np.zeros((len(KINDS), len(shifts)))
    for rgb in pictures:
        small = preprocess(rgb, size)[0]
        still = token_features(net, small, size)
        for j, shift in enumerate(shifts):
            turned = token_features(net, np.roll(small, shift, axis=1), size)
            for i, (a, b) in enumerate(zip(still, turned, strict=True)):
                tokens = round(shift * a.shape[-1] / size[1])
                sums[i, j] += _similarity(a, b.roll(-tokens, -1))
    means = sums / len(pictures)
    return FeatureStability(
        tuple(360.0 * shift / size[1] for shift in shifts),
        {kind: tuple(row.tolist()) for kind, row in zip(KINDS, means, strict=True)},
    )


def _similarity(a: Tensor, b: Tensor) -> float:
    a, b = (x - x.mean((1, 2), keepdim=True) for x in (a, b))
    return F.cosine_similarity(a, b, dim=0).mean().item()


def pca_pictures(
    net: PDBridgeNet, rgb: NDArray[np.uint8], size: tuple[int, int], shifts: Sequence[int]
) -> dict[str, list[NDArray[np.uint8]]]:
    """The first three principal components as colours, by kind, one picture a shift.

    The components are those of the unrolled picture, so equal colours mean equal features. shifts:
    columns of the network's input. Pictures are uint8 [h, w, 3] on the token grid.
    """
    small = preprocess(rgb, size)[0]
    all_features = [token_features(net, np.roll(small, shift, 1), size) for shift in shifts]
    still = token_features(net, small, size)
    pictures: dict[str, list[NDArray[np.uint8]]] = {}
    for i, kind in enumerate(KINDS):
        tokens = still[i].flatten(1).T  # [h w, C]
        mean = tokens.mean(0)
        _, _, axes = torch.linalg.svd(tokens - mean, full_matrices=False)
        low, high = torch.quantile((tokens - mean) @ axes[:3].T, torch.tensor([0.02, 0.98]), 0)
        pictures[kind] = []
        for features in all_features:
            _, height, width = features[i].shape
            parts = (features[i].flatten(1).T - mean) @ axes[:3].T
            scaled = ((parts - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
            picture = (255 * scaled).round().to(torch.uint8).reshape(height, width, 3)
            pictures[kind].append(picture.numpy())
    return pictures
