"""The inputs of a run beside its configuration: its frames, and its first weights.

They are identified by their content, not by their paths, so that data and weights may be moved
before a run is resumed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.training.checkpoint import best_weights
from mtpano_model.training.config import TrainConfig
from mtpano_model.training.read_back import Origin
from mtpano_model.training.stream import TrainingData


def origin_of(config: TrainConfig, data: TrainingData, init: Path | None) -> Origin:
    """Digest of each flag's frames or weights; frames are opened at the first stage's size."""
    first = config.stages[0]
    size = (first.height, first.width)
    also = [f"{share:g} of {_frames(frames(size))}" for frames, share in data.also]
    return {
        "--data-root": _frames(data.train(size)),
        "--also": ", ".join(also) or "nothing",
        "--init": "nothing" if init is None else f"weights {_digest(best_weights(init))}",
    }


def _frames(frames: PanoramaDataset) -> str:
    names = hashlib.sha256("\n".join(frames.names).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{len(frames)} frames {names[:12]}"


def _digest(weights: Path) -> str:
    digest = hashlib.sha256()
    with weights.with_suffix(".safetensors").open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:12]
