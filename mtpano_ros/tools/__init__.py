"""Executables beside the node: player, snapshot and the demo."""
