"""Reads the authors' checkpoints and translates their tensor names.

Nothing of the authors' code is needed: the layout is a table of names and shapes, and the
pickle is read with `weights_only=True` alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from mtpano_model.errors import MtpanoError
from mtpano_model.network.foreign.files import read_pickle
from mtpano_model.network.pd_bridgenet import PDBridgeNet
from mtpano_model.network.pretrained import load_exactly, own_name

# (pattern in the release, replacement in ours); the first that matches wins.
_RULES = [
    (r"RayDir", "ray"),
    (r"PE", "position"),
    (r"backbone\.layer\.", "backbone.model.layer."),
    (r"backbone\.", "backbone.model."),
    (r"feature_grouping\.(\d+)\.invariant_layers\.", r"refiners.\1.invariant."),
    (r"feature_grouping\.(\d+)\.variant_layers\.", r"refiners.\1.variant."),
    (r"aggregator_inv\.fusion_conv\.", "aggregators.invariant.fuse."),
    (r"aggregator_var\.fusion_conv\.", "aggregators.variant.fuse."),
    (r"(?:aux|extended)_heads\.(\w+)\.", r"heads.\1."),
    (r"bfe_(\w+?)\.", r"bridges.\1."),
    (r"inv_injectors\.", "bridge_injectors.invariant."),
    (r"var_injectors\.", "bridge_injectors.variant."),
    (r"aux_injectors\.(\w+)\.", r"task_injectors.\1.project."),
    (r"task_adapters\.(\w+)\.", r"task_injectors.\1.adapt."),
    (r"necks\.(\w+)\.reassemble_stage\.layers\.", r"decoders.\1.reassemble."),
    (
        r"necks\.(\w+)\.reassemble_stage\.readout_projects\.(\d+)\.0\.",
        r"decoders.\1.reassemble.\2.readout.project.",
    ),
    (r"necks\.(\w+)\.convs\.", r"decoders.\1.enter."),
    (r"necks\.(\w+)\.fusion_stage\.layers\.", r"decoders.\1.fuse."),
    (r"heads\.(\w+)\.head\.", r"decoders.\1.head."),
]
# Parts of names that differ wherever they stand, applied after the rule.
_PARTS = [
    (r"\.spatial_process\.equator_conv\.", ".mixer.equator."),
    (r"\.spatial_process\.pole_conv\.", ".mixer.pole."),
    (r"(refiners\..*)\.conv1\.", r"\1.down."),
    (r"(refiners\..*)\.conv2\.", r"\1.up."),
    (r"\.geo_mlp\.", ".geometry."),
    (r"\.feature_extractor\.", ".feature."),
    (r"\.classifier\.", ".predict."),
    (r"\.norm1_q\.", ".norm_query."),
    (r"\.norm1_kv\.", ".norm_key_value."),
    (r"(bridges\.\w+)\.norm2\.", r"\1.norm_mlp."),
    (r"\.mlp\.fc1\.", ".mlp_in."),
    (r"\.mlp\.fc2\.", ".mlp_out."),
    (r"\.kv_squeeze\.", ".squeeze."),
    (r"\.cross_attn\.to_q\.", ".attention.query."),
    (r"\.cross_attn\.to_k\.", ".attention.key."),
    (r"\.cross_attn\.to_v\.", ".attention.value."),
    (r"\.cross_attn\.proj\.", ".attention.out."),
    (r"(decoders\.\w+\.reassemble\.\d+)\.projection\.", r"\1.project."),
    (r"(decoders\.\w+\.fuse\.\d+)\.projection\.", r"\1.project."),
    (r"\.residual_layer1\.", ".lateral."),
    (r"\.residual_layer2\.", ".refine."),
    (r"\.convolution([12])\.", r".conv\1."),
    (r"\.batch_norm([12])\.", r".norm\1."),
    (r"(heads|squeeze)\.sdf\.", r"\1.edf."),
]


def our_name(released: str) -> str:
    """The name in our network of a tensor of the release (an optional `module.` is dropped)."""
    name = released.removeprefix("module.")
    for pattern, replacement in _RULES:
        if re.match(pattern, name):
            name = re.sub(f"^{pattern}", replacement, name, count=1)
            break
    for pattern, replacement in _PARTS:
        name = re.sub(pattern, replacement, name)
    return name


def read_released_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of `mtpano_model_*.pth.tar`; refuses everything but a dictionary of tensors."""
    file = Path(path)
    content = read_pickle(file, "the authors' unmodified .pth.tar file")
    tensors: Any = content.get("model") if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise MtpanoError(
            f"{file} has no dictionary of tensors under the key 'model': expected the authors' "
            "mtpano_model_140k.pth.tar or mtpano_model_408k.pth.tar"
        )
    return tensors


def load_released(net: PDBridgeNet, tensors: dict[str, Tensor], source: str) -> None:
    """Fill a network of the released layout from tensors under the release's names.

    Names and shapes must fit one to one; MtpanoError lists missing, unexpected and misshapen
    tensors, the release's name for each that the file has, and nothing is loaded.
    """
    names = {own_name(net, our_name(name)): name for name in tensors}
    if len(names) < len(tensors):
        raise MtpanoError(
            f"{source} holds two tensors for one place in the network: expected the authors' "
            "unmodified checkpoint"
        )
    ours = {
        name: tensors[released].float()
        if tensors[released].is_floating_point()
        else tensors[released]
        for name, released in names.items()
    }
    load_exactly(net, ours, source, names)
