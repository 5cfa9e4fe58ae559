"""The encoder of Depth Anything V2 and of DA360 (DINOv2 ViT-S/14) as a start for `base`'s.

Both are plain ViTs of the same width and depth, so that most tensors only change their names. What
differs is translated so that little is lost:

- the patch kernel of 14 pixels becomes one of 16 that answers to an enlarged patch as the old one
  did to the patch (arXiv 2212.08013, section 3.4);
- DINOv3 has no bias on keys; DINOv2's adds the same to all keys of a query, which softmax ignores;
- DINOv3 turns queries and keys by their place instead of adding learnt places: of these the mean
  goes into the patch bias and the CLS token's own into that token, the rest is given up;
- the registers, which DINOv2 has none of, keep their random values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.errors import MtpanoError
from mtpano_model.network.backbones.dinov3 import DINOv3ViT
from mtpano_model.network.foreign.files import without_prefix

# Outermost first: DDP's, DA360's, and where both keep the encoder.
_PREFIXES = ("module.", "depth_anything.", "pretrained.")
_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.up_proj",
    "mlp.fc2": "mlp.down_proj",
}
_PATCH = "patch_embed.proj.weight"


def load_depth_anything_encoder(backbone: DINOv3ViT, state: Mapping[str, Any], source: str) -> None:
    """Fill a ViT from the state dict of Depth Anything V2 or DA360.

    MtpanoError if the tensors have other names, or the encoder another width or depth.
    """
    for prefix in _PREFIXES:
        state = without_prefix(state, prefix)
    blocks = [f"blocks.{n}." for n in range(len(backbone.blocks))]
    try:
        depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
        width, ours = state[_PATCH].shape[0], backbone.model.config.hidden_size
        if (width, depth) != (ours, len(blocks)):
            raise MtpanoError(
                f"{source} holds an encoder of {depth} blocks of width {width}: expected ViT-S, "
                f"{len(blocks)} of {ours}"
            )
        tensors = _embeddings(state, backbone.patch)
        layers = [_block(state, name) for name in blocks]
    except KeyError as error:
        raise MtpanoError(
            f"{source} lacks the tensor {error}: expected a checkpoint of Depth Anything V2 "
            "(depth_anything_v2_vits.pth) or DA360 (DA360_small.pth)"
        ) from error
    own = backbone.model.state_dict()
    _copy(own, {f"embeddings.{name}": value for name, value in tensors.items()})
    _copy(own, {f"norm.{leaf}": state[f"norm.{leaf}"] for leaf in ("weight", "bias")})
    for block, values in zip(backbone.blocks, layers, strict=True):
        _copy(block.state_dict(), values)


def _embeddings(state: Mapping[str, Any], patch: int) -> dict[str, Tensor]:
    places = state["pos_embed"].float()
    return {
        "cls_token": state["cls_token"] + places[:, :1],
        "mask_token": state["mask_token"].reshape(1, 1, -1),
        "patch_embeddings.weight": resized_kernel(state[_PATCH].float(), patch),
        "patch_embeddings.bias": state["patch_embed.proj.bias"] + places[0, 1:].mean(0),
    }


def _block(state: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    leaves = ("weight", "bias")
    values = {
        f"{ours}.{leaf}": state[f"{name}{theirs}.{leaf}"]
        for theirs, ours in _BLOCK.items()
        for leaf in leaves
    }
    for leaf in leaves:
        query, key, value = state[f"{name}attn.qkv.{leaf}"].chunk(3)
        values |= {f"attention.q_proj.{leaf}": query, f"attention.v_proj.{leaf}": value}
        if leaf == "weight":
            values["attention.k_proj.weight"] = key
    for number in (1, 2):
        values[f"layer_scale{number}.lambda1"] = state[f"{name}ls{number}.gamma"]
    return values


def resized_kernel(kernel: Tensor, size: int) -> Tensor:
    """Patch kernel [C, 3, k, k] -> [C, 3, size, size]: its product with a bilinearly enlarged patch
    is the old one's with the patch (the pseudo-inverse of enlarging, transposed)."""
    old = kernel.shape[-1]
    if old == size:
        return kernel
    basis = torch.eye(old * old).reshape(-1, 1, old, old)
    enlarged = F.interpolate(basis, (size, size), mode="bilinear", align_corners=False)
    inverse = torch.linalg.pinv(enlarged.flatten(1).double())  # [size^2, old^2]
    flat = kernel.flatten(2).double() @ inverse.T
    return flat.reshape(*kernel.shape[:2], size, size).float()


@torch.no_grad()
def _copy(own: dict[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        own[name].copy_(value)
