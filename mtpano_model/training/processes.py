"""One process or many: Lightning Fabric, configured from the environment of torchrun or SLURM."""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy
from torch.distributed.fsdp import fully_shard

from mtpano_model.errors import MtpanoError
from mtpano_model.network import PDBridgeNet
from mtpano_model.training.config import ParallelConfig, TrainConfig


def start_fabric(config: TrainConfig) -> Fabric:
    """A launched Fabric for the configuration's processes.

    MtpanoError if the configuration does not fit the number of processes that the launcher started.
    """
    parallel = config.parallel
    devices, nodes = _processes(parallel)
    if parallel.strategy == "fsdp" and config.optimizer.ema:
        raise MtpanoError(
            f"optimizer.ema is {config.optimizer.ema}, but a sharded network has no moving "
            "average: set optimizer.ema=0 or parallel.strategy=ddp"
        )
    fabric = Fabric(
        accelerator=parallel.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=_strategy(parallel, devices * nodes),
        precision=config.precision,
    )
    fabric.launch()
    return fabric


def _processes(parallel: ParallelConfig) -> tuple[int, int]:
    """(processes a machine, machines), from the configuration, else from the launcher."""
    launched = devices = nodes = 1
    environment = os.environ
    if "LOCAL_WORLD_SIZE" in environment:  # torchrun
        devices = int(environment["LOCAL_WORLD_SIZE"])
        launched = int(environment["WORLD_SIZE"])
        nodes = launched // devices
    elif int(environment.get("SLURM_NTASKS", 1)) > 1:
        launched, nodes = int(environment["SLURM_NTASKS"]), int(environment["SLURM_NNODES"])
        devices = launched // nodes
    devices, nodes = parallel.devices or devices, parallel.nodes or nodes
    if launched > 1 and devices * nodes != launched:
        raise MtpanoError(
            f"{devices} devices on {nodes} nodes are configured, but the launcher started "
            f"{launched} processes: leave parallel.devices and parallel.nodes at 0"
        )
    return devices, nodes


def _strategy(parallel: ParallelConfig, world: int) -> Any:
    if parallel.strategy == "fsdp":
        return ModelParallelStrategy(_shard, data_parallel_size=world, tensor_parallel_size=1)
    if parallel.strategy == "ddp" or world > 1:
        # Some parameters never see a gradient, such as foreign squeeze convolutions as released.
        return DDPStrategy(find_unused_parameters=True)
    return "auto"


def _shard(net: PDBridgeNet, mesh: Any) -> PDBridgeNet:
    """The backbone on its own, everything else together; shards are cut from plain memory."""
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    fully_shard(net.backbone, mesh=mesh["data_parallel"])
    fully_shard(net, mesh=mesh["data_parallel"])
    return net
