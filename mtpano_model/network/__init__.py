"""PD-BridgeNet: its modules, configurations and weights."""

from mtpano_model.network.config import PDBridgeNetConfig, preset
from mtpano_model.network.pd_bridgenet import PDBridgeNet, Predictions

__all__ = ["PDBridgeNet", "PDBridgeNetConfig", "Predictions", "preset"]
