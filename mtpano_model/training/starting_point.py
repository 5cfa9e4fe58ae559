"""Makes the network that a run starts with, from a preset, ImageNet weights or another run."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.network import PDBridgeNet, PDBridgeNetConfig, preset
from mtpano_model.network.foreign.efficientnet_lite import load_imagenet_weights
from mtpano_model.network.pretrained import (
    UNKNOWN_ORIGIN,
    load_exactly,
    own_names,
    read_facts,
    read_tensors,
)
from mtpano_model.training.checkpoint import best_weights
from mtpano_model.training.config import TrainConfig

logger = logging.getLogger(__name__)

# What a network of the released layout predicts in the authors' frames, and in which.
_RELEASED_FRAMES = {"normals": "released_normals", "point": "released_points"}


def starting_network(config: TrainConfig, init: Path | None) -> PDBridgeNet:
    """The configured network with its first weights, in training mode.

    init: "default", a run, a checkpoint folder or a safetensors file. If the network
    has other classes than that checkpoint, its class layers start from random weights; with
    `config.init_partly`, so does every tensor that does not fit. Normals are in the optical frame,
    as the labels are, whatever frame that checkpoint's had.
    """
    network = _network_config(config, init)
    net = PDBridgeNet(network)
    if init is not None:
        source = best_weights(init)
        tensors = _with_maps_of_its_size(net, own_names(net, read_tensors(source)))
        adapted = _what_fits if config.init_partly else _with_fresh_class_layers
        try:
            load_exactly(net, adapted(net, tensors), str(source))
        except MtpanoError as error:
            raise MtpanoError(
                f"{error}: --network '' takes the network of --init, and --set init_partly=true "
                "starts all tensors that do not fit from random weights"
            ) from error
        if _config_of(source).normals_frame != "optical":
            _turn_to_optical(net)
    elif network.backbone.kind == "efficientnet_lite":
        load_imagenet_weights(net.backbone, network.backbone.variant)  # type: ignore[arg-type]
    elif config.backbone_weights and network.backbone.kind.startswith("dinov3"):
        from mtpano_model.network.foreign.dinov3 import load_dinov3_weights  # needs transformers

        load_dinov3_weights(net.backbone, config.backbone_weights)  # type: ignore[arg-type]
    return net.train()


def licence_of(config: TrainConfig, init: Path | None, resumed: Path | None) -> dict[str, str]:
    """`license` and `trained_on` of what a run trains, for `save_pretrained`.

    Weights that the run starts from pass on their licence.
    resumed: the checkpoint folder from which the run continues, which has both.
    """
    if resumed is not None:
        noted = read_facts(resumed / "net")["extra"]
        return {key: noted.get(key, unknown) for key, unknown in UNKNOWN_ORIGIN.items()}
    before = {**UNKNOWN_ORIGIN, "trained_on": "nothing"}
    if init is not None:
        before = {**UNKNOWN_ORIGIN, **read_facts(best_weights(init))["extra"]}
    elif _network_config(config, init).backbone.kind == "efficientnet_lite":
        before["trained_on"] = "ImageNet (backbone)"
    elif config.backbone_weights:
        name = Path(config.backbone_weights).name
        before = {"license": "DINOv3 License", "trained_on": f"DINOv3 weights {name} (backbone)"}
    return {
        "license": before["license"],
        "trained_on": f"{config.data} (preset {config.preset}); before: {before['trained_on']}",
    }


def class_set_of(config: TrainConfig, init: Path | None) -> str:
    """Name of the class set of `starting_network`."""
    return _network_config(config, init).class_set


def _network_config(config: TrainConfig, init: Path | None) -> PDBridgeNetConfig:
    if config.network:
        network = preset(config.network)
    elif init is not None:
        network = _config_of(best_weights(init))
    else:
        raise MtpanoError(
            f"preset '{config.preset}' trains the network of another checkpoint: give one with "
            "--init (default, or a run), or a --network"
        )
    network = dataclasses.replace(network, normals_frame="optical")
    for stage in config.stages:  # each has to fit the strides; export and evaluation take the last
        network = dataclasses.replace(network, image_size=(stage.height, stage.width))
    if config.class_set and config.class_set != network.class_set:
        count = len(load_class_set(config.class_set))
        return dataclasses.replace(network, class_set=config.class_set, num_classes=count)
    return network


def _config_of(weights: Path) -> PDBridgeNetConfig:
    return PDBridgeNetConfig.from_dict(read_facts(weights)["config"])


@torch.no_grad()
def _turn_to_optical(net: PDBridgeNet) -> None:
    """Make a network that predicts in the authors' frames predict in the optical frame.

    Only up-sampling follows a last layer, so rotating its weights rotates the map exactly.
    """
    for modules in (net.decoders, net.heads):
        for task in _RELEASED_FRAMES.keys() & modules.keys():
            *_, last = (m for m in modules[task].modules() if isinstance(m, nn.Conv2d))
            turn = torch.from_numpy(frame_matrix(_RELEASED_FRAMES[task], "optical")).float()
            last.weight.copy_(torch.einsum("ij,jchw->ichw", turn, last.weight))
            last.bias.copy_(turn @ last.bias)  # type: ignore[operator, union-attr]


def _with_maps_of_its_size(net: PDBridgeNet, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's tensors, with the network's own geometry maps if maps are stored."""
    own = net.state_dict()
    return {**tensors, **{k: own[k] for k in ("ray", "position") if k in own and k in tensors}}


def _with_fresh_class_layers(net: PDBridgeNet, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's tensors; those of class layers are the network's if classes differ."""
    own = net.state_dict()
    fresh = [
        name
        for name, tensor in tensors.items()
        if ".semseg." in name
        and name in own
        and own[name].shape[:1] == (net.config.num_classes,)
        and own[name].shape != tensor.shape
        and own[name].shape[1:] == tensor.shape[1:]
    ]
    if fresh:
        logger.warning(
            "the classes differ, so these tensors start from random weights: %s", ", ".join(fresh)
        )
    return {**tensors, **{name: own[name] for name in fresh}}


def _what_fits(net: PDBridgeNet, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's own tensors, replaced by the checkpoint's of the same name and shape."""
    own = net.state_dict()
    fitting = {k: v for k, v in tensors.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise MtpanoError("no tensor of the checkpoint given with --init fits this network")
    fresh = [name for name in own if name not in fitting]
    modules = sorted({".".join(name.split(".")[:2]) for name in fresh})
    logger.warning(
        "%d of %d tensors start from random weights; they are in %s",
        len(fresh),
        len(own),
        ", ".join(modules),
    )
    return {**own, **fitting}
