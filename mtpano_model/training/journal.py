"""The log of a training run: metrics.jsonl, TensorBoard and a progress bar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from mtpano_model.classes import ClassSet, load_class_set
from mtpano_model.data.sample import PanoramaDataset, collate
from mtpano_model.drawing.colors import colorize_depth, colorize_labels
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.network import PDBridgeNet
from mtpano_model.pictures.normals import encode_normals
from mtpano_model.progress_bar import progress_bar
from mtpano_model.stored_files import parse_json
from mtpano_model.training.validation import predicted_maps, true_maps


class Journal:
    """A run's log. quiet: write nothing, for every process but the first.

    done: step from which a run resumes; later entries of the interrupted run are removed.
    """

    def __init__(self, run: Path, done: int, total: int, *, quiet: bool = False):
        self.quiet = quiet
        self._bar = progress_bar(with_note=True, disable=quiet)
        self._task = self._bar.add_task("training", total=total, completed=done, note="")
        self._lines = run / "metrics.jsonl"
        if quiet:
            return
        _drop_after(self._lines, done)
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=done + 1)

    def __enter__(self) -> Journal:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if not self.quiet:
            self._board.close()

    def advance(self, step: int, loss: float) -> None:
        """Move the bar to `step` optimizer steps done."""
        self._bar.update(self._task, completed=step, note=f"loss {loss:.3f}")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl, and a point on each TensorBoard curve."""
        if self.quiet:
            return
        rounded = {name: round(value, 6) for name, value in values.items()}
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **rounded}) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name.replace(".", "/"), value, step)

    def draw(self, step: int, net: PDBridgeNet, frames: PanoramaDataset, count: int) -> None:
        """Pictures of the first frames: predictions above ground truth.

        Every process must call it, since a sharded network runs in all of them together.
        """
        if not count:
            return
        truth = collate([frames[i] for i in range(min(count, len(frames)))])
        predictions = predicted_maps(net, truth.image, next(net.parameters()).device)
        if self.quiet:
            return
        classes = load_class_set(net.config.class_set)
        for i in range(len(truth)):
            image = truth.image[i].permute(1, 2, 0).numpy()
            rows = [
                _row(image, predictions[i], classes),
                _row(image, true_maps(truth, i), classes),
            ]
            self._board.add_image(truth.names[i], np.concatenate(rows), step, dataformats="HWC")


def _row(image: NDArray[np.uint8], maps: Maps, classes: ClassSet) -> NDArray[np.uint8]:
    """RGB, depth, normals, classes side by side; black where there is nothing."""
    depth = normals = labels = np.zeros_like(image)
    if maps.depth is not None:
        depth = colorize_depth(np.where(maps.depth > 0, maps.depth, np.nan))
    if maps.normals is not None:
        normals = encode_normals(maps.normals.copy())
    if maps.labels is not None:
        labels = colorize_labels(maps.labels, classes.palette_array)
    return np.concatenate([image, depth, normals, labels], 1)


def _drop_after(lines: Path, done: int) -> None:
    """Remove what an interrupted run logged after the checkpoint from which it resumes."""
    if not lines.is_file():
        return
    kept = []
    for line in lines.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if parse_json(line)["step"] <= done:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):  # cut off by the kill
            continue
    lines.write_text("".join(kept), encoding="utf-8")
