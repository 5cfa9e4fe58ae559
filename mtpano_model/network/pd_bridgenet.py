"""PD-BridgeNet (arXiv 2602.05330): one panorama in; semantics, depth and normals out.

backbone -> four taps -> refiner (invariant | variant) -> one aggregator per stream -> initial
heads -> one gradient-truncated bridge per stream -> injection into the taps -> one decoder per
task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtpano_model.network.aggregation import Aggregator, InitialHead
from mtpano_model.network.backbones import Taps
from mtpano_model.network.backbones.build import build_backbone
from mtpano_model.network.bridge import Bridge
from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.decoders.dpt import DPTDecoder
from mtpano_model.network.decoders.light import Laterals, LightDecoder
from mtpano_model.network.decoders.upsampling import (
    ConvexWeights,
    upsample_convex,
    upsample_depth,
)
from mtpano_model.network.geometry_maps import geometry_maps, pole_weights
from mtpano_model.network.injection import BridgeInjector, TaskInjector
from mtpano_model.network.padding import upsample
from mtpano_model.network.refiner import Refiner
from mtpano_model.network.token_grid import TokenGrid
from mtpano_model.tasks import CONFIDENCE, DEPTH, NORMALS, Stream, Task

STREAMS: tuple[Stream, ...] = ("invariant", "variant")
# Of depth's own uncertainty, as a logarithm: from half a per mille to beyond any use.
_LOG_SCALE = (-7.6, 2.0)
_MAX_LOG_DEPTH = 5.0  # exp(5) = 148 m: beyond any room, and exp cannot overflow


@dataclass
class Predictions:
    """All outputs of the network: maps [B, channels, H, W] by task name.

    final: main tasks from the decoders. initial: main tasks from the initial heads.
    auxiliary: the auxiliary tasks. Semantics are logits, depth metres along the ray, normals not
    yet of unit length (optical frame; the authors' frame in the `released` preset).
    log_scale: [B, 1, H, W], logarithm of the scale b of a Laplace distribution of the logarithm of
    depth about the predicted one; None where the network has no confidence.
    """

    final: dict[str, Tensor]
    initial: dict[str, Tensor]
    auxiliary: dict[str, Tensor]
    log_scale: Tensor | None = None


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
        if config.confidence:
            self.confidence = nn.Conv2d(config.decoder.widths[-1], 1, 1)
            # A scale of 14 %, well within the limits: beyond them nothing is learnt any more.
            nn.init.constant_(self.confidence.bias, -2.0)  # type: ignore[arg-type]
        if config.decoder.upsampling == "convex":
            self.upsampling = ConvexWeights(
                len(self._main), config.decoder.widths[-1], config.decoder.upsampling_width
            )
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

    def forward(self, image: Tensor, full_size: bool = True) -> Predictions:
        """image [B, 3, H, W], RGB, 0..255. full_size: see `predict`."""
        return self.predict(self.normalize(image), full_size=full_size)

    def normalize(self, image: Tensor) -> Tensor:
        """RGB in 0..255 [B, 3, H, W] -> normalised as the backbone was trained."""
        return (image - self._mean) / self._std

    def predict(
        self, image: Tensor, geometry: tuple[Tensor, Tensor] | None = None, full_size: bool = True
    ) -> Predictions:
        """Predictions from a normalised image.

        geometry: (ray, position) maps at token resolution that replace the panorama's own; the
            equivariance tests roll them. full_size=False leaves final maps at the decoder's
            resolution, and initial and auxiliary maps at that of the token grid.
        """
        size = (
            image.shape[-2] // self.config.token_stride,
            image.shape[-1] // (self.config.token_stride),
        )
        maps = torch.cat(geometry or self._geometry(size), 1)  # [1, 3 + P, h, w]
        taps = self.backbone(image)
        features, initial = self._streams(taps, maps)
        injected = self._inject(*features)
        final, log_scale = self._decode(injected, taps, image)
        if full_size:
            final = {k: self._up(v, image.shape[-1] // v.shape[-1]) for k, v in final.items()}
            initial = {k: self._up(v, self.config.token_stride) for k, v in initial.items()}
        main = {task.name for task in self._main}
        return Predictions(
            final=final,
            initial={k: v for k, v in initial.items() if k in main},
            auxiliary={k: v for k, v in initial.items() if k not in main},
            log_scale=log_scale,
        )

    def _geometry(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        if size == self.config.token_size:
            return self.ray, self.position
        maps = geometry_maps(*size, self.config.rays, self.config.position)
        return maps[0].to(self.ray), maps[1].to(self.ray)

    def _streams(self, taps: Taps, geometry: Tensor):
        """Refined taps and aggregate of each stream; feature and initial map of each task."""
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

    def _decode(
        self, injected: dict[str, list[Tensor]], taps: Taps, picture: Tensor
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """The main tasks' maps and depth's log_scale.

        At the decoder's resolution or, up-sampled by learnt weights, at the input's. Labels are not
        up-sampled by weights: interpolated logits give class borders that are fine enough.
        """
        if self.config.decoder.kind == "dpt":
            raw = {name: self.decoders[name](maps, taps.cls) for name, maps in injected.items()}
            return {k: self._activate(k, x, initial=False) for k, x in raw.items()}, None
        laterals = self.laterals(taps)
        decoded = {k: self.decoders[k](maps, laterals) for k, maps in injected.items()}
        features = {name: x for name, (_, x) in decoded.items()}
        final = {k: self._activate(k, x, initial=False) for k, (x, _) in decoded.items()}
        log_scale = None
        if self.config.confidence:
            log_scale = self.confidence(features[DEPTH.name]).clamp(*_LOG_SCALE)
            log_scale = self._up(log_scale, picture.shape[-1] // log_scale.shape[-1])
            final[CONFIDENCE.name] = confidence_of(log_scale)
        if self.config.decoder.upsampling == "convex":
            how = self.config.padding
            # Cut, as the bridge is: no task's loss reaches another one through what they share.
            weights = self.upsampling([x.detach() for x in features.values()], picture)
            if DEPTH.name in final:
                normals = final[NORMALS.name].detach() if NORMALS.name in final else None
                final[DEPTH.name] = upsample_depth(final[DEPTH.name], normals, weights, how)
            if NORMALS.name in final:
                final[NORMALS.name] = upsample_convex(final[NORMALS.name], weights, how)
        return final, log_scale

    def _activate(self, name: str, raw: Tensor, *, initial: bool) -> Tensor:
        if name == DEPTH.name and self.config.depth_activation == "exp":
            return raw.clamp(max=_MAX_LOG_DEPTH).exp()
        if name == DEPTH.name and not initial:
            return raw.relu()
        return raw

    def _up(self, x: Tensor, factor: int) -> Tensor:
        return upsample(x, factor, self.config.padding)


def confidence_of(log_scale: Tensor) -> Tensor:
    """Probability that depth is within 10 %: |error of log depth| < log 1.1, Laplace of scale b."""
    return 1 - (-math.log(1.1) * (-log_scale).exp()).exp()
