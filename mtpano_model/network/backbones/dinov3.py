"""DINOv3 backbones through transformers (>= 4.56; parameter names differ from 5.0 on).

Weights: `facebook/dinov3-vit*` and `facebook/dinov3-convnext*` under the DINOv3 licence, loaded by
the user with `foreign.dinov3`; none are shipped.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mtpano_model.errors import MtpanoError
from mtpano_model.network.backbones import Backbone, Taps
from mtpano_model.network.config import BackboneConfig
from mtpano_model.network.layers import grid
from mtpano_model.network.padding import Padding, SphereConv2d

try:
    from transformers import (
        DINOv3ConvNextConfig,
        DINOv3ConvNextModel,
        DINOv3ViTConfig,
        DINOv3ViTModel,
    )
except ImportError as error:
    raise MtpanoError(
        "a DINOv3 backbone needs transformers 4.56 or newer: run `pip install 'transformers>=4.56'`"
    ) from error


class DINOv3ViT(Backbone):
    """Normalised image [B, 3, H, W] -> four taps [B, C, H/16, W/16] and their CLS tokens.

    A tap is a block's output before the final norm; registers are dropped.
    """

    def __init__(self, config: BackboneConfig):
        super().__init__()
        self.tap_layers = config.tap_layers
        self.patch = config.patch_size
        self.prefix = 1 + config.registers
        self.channels = [config.hidden_size] * len(config.tap_layers)
        self.model: Any = DINOv3ViTModel(
            DINOv3ViTConfig(
                hidden_size=config.hidden_size,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.mlp_size,
                num_register_tokens=config.registers,
                patch_size=config.patch_size,
                layer_norm_eps=1e-5,
            )
        )
        # fused attention has no ONNX form before opset 23
        self.model.set_attn_implementation("eager")

    @property
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, wherever this version of transformers keeps them."""
        return self.model.layer if hasattr(self.model, "layer") else self.model.model.layer

    def forward(self, x: Tensor) -> Taps:
        size = x.shape[-2] // self.patch, x.shape[-1] // self.patch
        hidden = self.model.embeddings(x)
        position = self.model.rope_embeddings(x)
        taps = Taps([])
        for i, block in enumerate(self.blocks):
            hidden = block(hidden, position_embeddings=position)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            if i in self.tap_layers:
                taps.cls.append(hidden[:, 0])
                taps.features.append(grid(hidden[:, self.prefix :], size))
        return taps


class DINOv3ConvNeXt(Backbone):
    """Normalised image -> taps at strides 4, 8, 16, 32; padding follows the sphere.

    ConvNeXt starts at stride 4, so the light decoder ends there (three widths).
    """

    def __init__(self, config: BackboneConfig, how: Padding):
        super().__init__()
        self.channels = list(config.widths)
        self.model: Any = DINOv3ConvNextModel(
            DINOv3ConvNextConfig(hidden_sizes=self.channels, depths=list(config.depths))
        )
        wrap_convolutions(self.model, how)

    def forward(self, x: Tensor) -> Taps:
        features = []
        stages = self.model.stages if hasattr(self.model, "stages") else self.model.model.stages
        for stage in stages:
            x = stage(x)
            features.append(x)
        return Taps(features)


def wrap_convolutions(module: nn.Module, how: Padding) -> None:
    """Replace every zero-padded convolution below `module` by one that pads as the sphere does."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and any(child.padding):
            conv = SphereConv2d(
                child.in_channels,
                child.out_channels,
                child.kernel_size,  # type: ignore[arg-type]
                stride=child.stride[0],
                groups=child.groups,
                bias=child.bias is not None,
                how=how,
            )
            conv.load_state_dict(child.state_dict())
            setattr(module, name, conv)
        else:
            wrap_convolutions(child, how)
