"""The configuration of PD-BridgeNet in all its sizes, and the named presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from mtpano_model.errors import MtpanoError
from mtpano_model.network.geometry_maps import POSITION_CHANNELS, Position, Rays
from mtpano_model.network.padding import Padding
from mtpano_model.settings import built
from mtpano_model.tasks import AUXILIARY_TASKS, BRIDGE_ORDER, CONFIDENCE, DEPTH, MAIN_TASKS, Task

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class BackboneConfig:
    """The backbone, which computes four feature maps (taps) of an RGB panorama.

    kind: the architecture family.
    variant: its size: "0", "1", "2" of EfficientNet-Lite; ignored elsewhere.
    widths, depths: channels and blocks of each stage (convnet, dinov3_convnext).
    hidden_size, layers, heads, mlp_size, registers, patch_size, tap_layers: of a DINOv3 ViT;
        tap_layers are the 0-based blocks whose outputs are tapped.
    mean, std: the normalisation of an RGB image in 0..255 that the backbone was trained with.
    """

    kind: Literal["efficientnet_lite", "convnet", "dinov3_vit", "dinov3_convnext"]
    variant: str = "0"
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    hidden_size: int = 0
    layers: int = 0
    heads: int = 0
    mlp_size: int = 0
    registers: int = 4
    patch_size: int = 16
    tap_layers: tuple[int, ...] = ()
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    def num_taps(self) -> int:
        return len(self.tap_layers) if self.kind == "dinov3_vit" else 4

    @property
    def is_vit(self) -> bool:
        return self.kind == "dinov3_vit"


@dataclass(frozen=True)
class DecoderConfig:
    """The decoder, which turns a task's taps into a map.

    kind: "dpt" is the paper's neck and heads; "light" decodes all taps at once on the token grid
        and climbs to half the input size on the backbone's own fine features.
    widths: "dpt": reassembled channels of the four taps; "light": channels at 1/16, 1/8, 1/4, 1/2.
    fusion: channels of DPT's fusion stages.
    upsampling: of "light", from half to the whole input size: "bilinear" outside the network, or
        "convex", learnt (`decoders.upsampling`), with `upsampling_width` channels.
    """

    kind: Literal["dpt", "light"]
    widths: tuple[int, ...]
    fusion: int = 256
    upsampling: Literal["bilinear", "convex"] = "bilinear"
    upsampling_width: int = 24


@dataclass(frozen=True)
class PDBridgeNetConfig:
    """All settings of the network; one value of this class is one architecture.

    token_dim: channels C of the taps on the token grid. token_stride: input pixels per token.
    bridge_dim: D, of aggregates, task features and bridge.
    refiner_ratio, adapter_ratio: how much the blocks' middles are narrowed.
    geometry_dim ...: see the modules of the same name.
    tasks: main tasks that are predicted (fewer only in ablations); "confidence", of depth, needs
        decoder "light". auxiliary: train and bridge the
        three auxiliary tasks. modulation, erp_mixer, bridge, truncate: the paper's parts, each of
        which an ablation can leave out.
    detach_before_squeeze: where the bridge truncates; False as released.
    rays, position, padding, align_corners: the sphere; the defaults are ours, the `released`
        preset has the authors'.
    depth_activation: "relu" as in the paper; "exp" predicts log metres.
    normals_frame: frame of the predicted normals (a key of geometry.sphere.OPTICAL_FROM); export
        turns them into the optical frame.
    """

    backbone: BackboneConfig
    decoder: DecoderConfig
    token_dim: int
    bridge_dim: int
    name: str = "custom"
    class_set: str = "indoor18"
    num_classes: int = 18
    image_size: tuple[int, int] = (256, 512)
    token_stride: int = 16
    refiner_depth: int = 2
    refiner_ratio: int = 4
    bridge_heads: int = 4
    bridge_mlp_ratio: int = 4
    adapter_ratio: int = 1
    tasks: tuple[str, ...] = tuple(task.name for task in MAIN_TASKS if not task.optional)
    auxiliary: bool = True
    modulation: bool = True
    erp_mixer: bool = True
    bridge: bool = True
    truncate: bool = True
    detach_before_squeeze: bool = True
    rays: Rays = "half_pixel"
    position: Position = "sincos"
    padding: Padding = field(default_factory=Padding)
    align_corners: bool = False
    depth_activation: Literal["relu", "exp"] = "relu"
    normals_frame: Literal["optical", "released_normals"] = "optical"

    def __post_init__(self) -> None:
        for field_ in dataclasses.fields(self):
            value = getattr(self, field_.name)
            if type(value) is int and value < 1:
                raise MtpanoError(f"network.{field_.name} is {value}: expected 1 or more")
        light = self.decoder.kind == "light"
        if not light and (self.confidence or self.decoder.upsampling == "convex"):
            raise MtpanoError(
                f"decoder '{self.decoder.kind}' supports neither confidence nor learnt "
                "up-sampling: set network.decoder to kind 'light'"
            )
        height, width = self.image_size
        stride = self.coarsest_stride
        if height < 1 or width != 2 * height or height % stride or width % stride:
            raise MtpanoError(
                f"image size {height}x{width} does not fit: expected HEIGHTxWIDTH with width = "
                f"2 x height and both multiples of {stride}"
            )

    @property
    def coarsest_stride(self) -> int:
        """Input pixels of the coarsest map: the squeezed bridge tokens."""
        return 2 * self.token_stride

    @property
    def token_size(self) -> tuple[int, int]:
        """Token grid (h, w) at `image_size`."""
        return self.image_size[0] // self.token_stride, self.image_size[1] // self.token_stride

    @property
    def geometry_channels(self) -> int:
        return 3 + POSITION_CHANNELS[self.position]

    @property
    def main_tasks(self) -> tuple[Task, ...]:
        """Those with a decoder of their own; confidence comes out of depth's."""
        return tuple(t for t in MAIN_TASKS if t.name in self.tasks and t is not CONFIDENCE)

    @property
    def confidence(self) -> bool:
        return {CONFIDENCE.name, DEPTH.name} <= set(self.tasks)

    @property
    def all_tasks(self) -> tuple[Task, ...]:
        return self.main_tasks + (AUXILIARY_TASKS if self.auxiliary else ())

    @property
    def bridge_tasks(self) -> tuple[Task, ...]:
        return tuple(task for task in BRIDGE_ORDER if task in self.all_tasks)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PDBridgeNetConfig:
        """Inverse of to_dict; MtpanoError for an unknown key or a value of another type."""
        return built(cls, values, "network.")


# --- presets -------------------------------------------------------------------------------------

_VIT_LARGE = BackboneConfig(
    "dinov3_vit",
    hidden_size=1024,
    layers=24,
    heads=16,
    mlp_size=4096,
    tap_layers=(5, 11, 17, 23),
)
_VIT_SMALL = BackboneConfig(
    "dinov3_vit",
    hidden_size=384,
    layers=12,
    heads=6,
    mlp_size=1536,
    tap_layers=(2, 5, 8, 11),
)

_LARGE = PDBridgeNetConfig(
    name="large",
    backbone=_VIT_LARGE,
    decoder=DecoderConfig("dpt", widths=(256, 512, 1024, 1024)),
    token_dim=1024,
    bridge_dim=256,
    image_size=(512, 1024),
)

PRESETS: dict[str, PDBridgeNetConfig] = {
    "nano": PDBridgeNetConfig(
        name="nano",
        backbone=BackboneConfig("convnet", widths=(16, 24, 48, 96, 128), depths=(1, 1, 1, 2, 1)),
        decoder=DecoderConfig("light", widths=(64, 48, 32, 16)),
        token_dim=64,
        bridge_dim=48,
        refiner_depth=1,
        bridge_mlp_ratio=2,
        adapter_ratio=4,
        image_size=(128, 256),
        depth_activation="exp",
    ),
    "small": PDBridgeNetConfig(
        name="small",
        backbone=BackboneConfig(
            "efficientnet_lite", variant="0", mean=(127.0,) * 3, std=(128.0,) * 3
        ),
        decoder=DecoderConfig("light", widths=(96, 48, 24, 16), upsampling="convex"),
        tasks=tuple(task.name for task in MAIN_TASKS),
        token_dim=128,
        bridge_dim=64,
        refiner_depth=1,
        adapter_ratio=8,
        bridge_mlp_ratio=2,
        depth_activation="exp",
    ),
    "base": PDBridgeNetConfig(
        name="base",
        backbone=_VIT_SMALL,
        decoder=DecoderConfig("dpt", widths=(64, 128, 256, 256), fusion=96),
        token_dim=384,
        bridge_dim=128,
        adapter_ratio=4,
        image_size=(512, 1024),
    ),
    "large": _LARGE,
    "released": dataclasses.replace(
        _LARGE,
        name="released",
        class_set="ade20k150",
        num_classes=150,
        detach_before_squeeze=False,
        rays="released",
        position="angles",
        padding=Padding(columns="zeros", rows="zeros"),
        align_corners=True,
        normals_frame="released_normals",
    ),
}


def preset(name: str, /, **changes: Any) -> PDBridgeNetConfig:
    """A named configuration, with fields changed by keyword; MtpanoError for an unknown name."""
    if name not in PRESETS:
        raise MtpanoError(f"unknown preset {name!r}: expected one of {', '.join(PRESETS)}")
    return dataclasses.replace(PRESETS[name], **changes)
