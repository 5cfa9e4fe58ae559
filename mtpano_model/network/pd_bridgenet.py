"""PD-BridgeNet (arXiv 2602.05330): one panorama in; semantics, depth and normals out.

backbone -> four taps -> refiner (invariant | variant) -> aggregator a stream -> initial heads
-> gradient-truncated bridge a stream -> injection into the taps -> decoder a task.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtpano_model.network.aggregation import Aggregator, InitialHead
from mtpano_model.network.backbones import Taps, build_backbone
from mtpano_model.network.bridge import Bridge
from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.decoders.dpt import DPTDecoder
from mtpano_model.network.decoders.light import Laterals, LightDecoder
from mtpano_model.network.geometry_maps import geometry_maps, pole_weights
from mtpano_model.network.injection import BridgeInjector, TaskInjector
from mtpano_model.network.padding import upsample
from mtpano_model.network.refiner import Refiner
from mtpano_model.network.token_grid import TokenGrid
from mtpano_model.tasks import DEPTH, Stream, Task

STREAMS: tuple[Stream, ...] = ("invariant", "variant")
_MAX_LOG_DEPTH = 5.0  # exp(5) = 148 m: beyond any room, and exp cannot overflow


@dataclass
class Predictions:
    """Everything the network says; each map [B, channels, H, W] by task name.

    final: main tasks from the decoders. initial: main tasks from the initial heads.
    auxiliary: the auxiliary tasks. Semantics are logits, depth metres along the ray, normals not
    yet of unit length (optical frame; the authors' frame in the `released` preset).
    """

    final: dict[str, Tensor]
    initial: dict[str, Tensor]
    auxiliary: dict[str, Tensor]


class PDBridgeNet(nn.Module):
    """The network of one `PDBridgeNetConfig`.

    `forward` takes an RGB image [B, 3, H, W] in 0..255 of any size whose sides are multiples of
    `config.coarsest_stride` and gives `Predictions` at that size.
    """

    ray: Tensor
    position: Tensor
    _mean: Tensor
    _std: Tensor

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        channels = self.backbone.channels
        vit = config.backbone.is_vit
        self.token_grid = None if vit else TokenGrid(config, channels)
        self.refiners = nn.ModuleList(Refiner(config) for _ in range(config.backbone.num_taps))
        self.aggregators = nn.ModuleDict({stream: Aggregator(config) for stream in STREAMS})
        self.heads = nn.ModuleDict(
            {
                task.name: InitialHead(config, task.num_channels(config.num_classes))
                for task in config.all_tasks
            }
        )
        streams = STREAMS if config.bridge else ()
        self.bridges = nn.ModuleDict({stream: Bridge(config, stream) for stream in streams})
        self.bridge_injectors = nn.ModuleDict({s: BridgeInjector(config) for s in streams})
        self.task_injectors = nn.ModuleDict({t.name: TaskInjector(config) for t in self._main})
        if config.decoder.kind == "light":
            self.laterals = Laterals(config, self.backbone.stem_channels, channels)
        decoder = LightDecoder if config.decoder.kind == "light" else DPTDecoder
        self.decoders = nn.ModuleDict({t.name: decoder(config, t) for t in self._main})
        self.register_buffer("_mean", torch.tensor(config.backbone.mean)[:, None, None], False)
        self.register_buffer("_std", torch.tensor(config.backbone.std)[:, None, None], False)
        ray, position = geometry_maps(*config.token_size, config.rays, config.position)
        # The release keeps its maps among its weights; ours follow from the image size.
        stored = config.rays == "released"
        self.register_buffer("ray", ray, persistent=stored)
        self.register_buffer("position", position, persistent=stored)

    @property
    def _main(self) -> tuple[Task, ...]:
        return self.config.main_tasks

    @property
    def decode_stride(self) -> int:
        """Input pixels a decoded pixel spans."""
        if self.config.decoder.kind == "dpt":
            return 1
        return self.config.token_stride >> (len(self.config.decoder.widths) - 1)

    def forward(self, image: Tensor) -> Predictions:
        """image [B, 3, H, W], RGB, 0..255."""
        return self.predict(self.normalize(image))

    def normalize(self, image: Tensor) -> Tensor:
        """RGB in 0..255 -> what the backbone was trained on."""
        return (image - self._mean) / self._std

    def predict(
        self, image: Tensor, geometry: tuple[Tensor, Tensor] | None = None, full_size: bool = True
    ) -> Predictions:
        """Predictions from a normalised image.

        geometry: other (ray, position) maps at token resolution than the panorama's own; the
            equivariance tests roll them. full_size=False leaves the final maps at the decoder's
            resolution and the initial and auxiliary ones at the token grid's.
        """
        size = (
            image.shape[-2] // self.config.token_stride,
            image.shape[-1] // (self.config.token_stride),
        )
        maps = torch.cat(geometry or self._geometry(size), 1)  # [1, 3 + P, h, w]
        taps = self.backbone(image)
        features, initial = self._streams(taps, maps)
        injected = self._inject(*features)
        final = self._decode(injected, taps)
        if full_size:
            final = {k: self._up(v, self.decode_stride) for k, v in final.items()}
            initial = {k: self._up(v, self.config.token_stride) for k, v in initial.items()}
        main = {task.name for task in self._main}
        return Predictions(
            final=final,
            initial={k: v for k, v in initial.items() if k in main},
            auxiliary={k: v for k, v in initial.items() if k not in main},
        )

    def _geometry(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        if size == self.config.token_size:
            return self.ray, self.position
        maps = geometry_maps(*size, self.config.rays, self.config.position)
        return maps[0].to(self.ray), maps[1].to(self.ray)

    def _streams(self, taps: Taps, geometry: Tensor):
        """Refined taps and aggregate a stream, task features and initial predictions a task."""
        grids = taps.features if self.token_grid is None else self.token_grid(taps.features)
        weight = pole_weights(geometry.shape[-2], self.config.rays).to(geometry)
        refined = [
            refine(x, geometry, weight) for refine, x in zip(self.refiners, grids, strict=True)
        ]
        streams = {s: [pair[i] for pair in refined] for i, s in enumerate(STREAMS)}
        aggregates = {s: self.aggregators[s](streams[s]) for s in STREAMS}
        features, initial = {}, {}
        for task in self.config.all_tasks:
            features[task.name], raw = self.heads[task.name](aggregates[task.stream])
            initial[task.name] = self._activate(task.name, raw, initial=True)
        return (streams, aggregates, features), initial

    def _inject(self, streams, aggregates, features) -> dict[str, list[Tensor]]:
        """The taps of every main task after bridge and task injection."""
        for stream, bridge in self.bridges.items():
            bridged = bridge(aggregates[stream], features)
            streams[stream] = self.bridge_injectors[stream](streams[stream], bridged)
        return {
            task.name: self.task_injectors[task.name](streams[task.stream], features[task.name])
            for task in self._main
        }

    def _decode(self, injected: dict[str, list[Tensor]], taps: Taps) -> dict[str, Tensor]:
        light = self.config.decoder.kind == "light"
        extra = self.laterals(taps) if light else taps.cls
        return {
            name: self._activate(name, self.decoders[name](maps, extra), initial=False)
            for name, maps in injected.items()
        }

    def _activate(self, name: str, raw: Tensor, *, initial: bool) -> Tensor:
        if name == DEPTH.name and self.config.depth_activation == "exp":
            return raw.clamp(max=_MAX_LOG_DEPTH).exp()
        if name == DEPTH.name and not initial:
            return raw.relu()
        return raw

    def _up(self, x: Tensor, factor: int) -> Tensor:
        return upsample(x, factor, self.config.padding)
