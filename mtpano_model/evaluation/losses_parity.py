"""Our losses, metrics and auxiliary targets against numbers that the authors' code gave.

A folder holds `tensors.safetensors` (predictions, ground truth with 255 for invalid, the release's
auxiliary targets) and `values.json`. Sizes and the number of classes come from the tensors. Losses
run in the release's conventions, on the folder's own auxiliary targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtpano_model.classes import IGNORE, ClassSet
from mtpano_model.data.sample import Batch
from mtpano_model.errors import MtpanoError
from mtpano_model.metrics.depth import DepthMetrics
from mtpano_model.metrics.normals import angles_deg, exact_figures
from mtpano_model.metrics.protocols import Protocol
from mtpano_model.metrics.semseg import SemsegMetrics
from mtpano_model.network.geometry_maps import geometry_maps
from mtpano_model.network.pd_bridgenet import Predictions
from mtpano_model.stored_files import read_json
from mtpano_model.training import losses
from mtpano_model.training.auxiliary import edge_distance_field, edges, image_gradient
from mtpano_model.training.multi_task import multi_task_loss

TENSORS, VALUES = "tensors.safetensors", "values.json"
TOLERANCE = 1e-4  # relative
EDF_TOLERANCE, EDF_SHARE = 1e-3, 0.998
EDF_NOTE = (
    f"edf_pixels_off: of the pixels whose nearest edge is not across the seam (ours wraps, the "
    f"release does not), the share that differs by more than {EDF_TOLERANCE:g}; 1 stands for the "
    f"{1 - EDF_SHARE:.1%} that may"
)

_PAPER = losses.LossConfig(convention="released")
_RELEASED_NAMES = {"grad": "grad", "edf": "sdf", "point": "point"}  # ours: theirs
_FILL = 255.0


def compare(folder: Path) -> dict[str, float]:
    """Largest relative difference by value: |ours - theirs| / |theirs|.

    "edf_pixels_off" is the share of pixels, of those where the seam does not matter, whose edge
    distance differs by more than 1e-3, divided by the 0.2 % that may: above 1 is too many.
    """
    tensors, values = read_fixture(folder)
    batch = fixture_batch(tensors)
    differences = {}
    for name, ours in _our_values(tensors, batch):
        differences[name] = _relative(ours, _look_up(values, name))
    return differences | _compare_targets(tensors)


def is_losses_fixture(folder: Path) -> bool:
    """Whether a folder holds what `compare` needs."""
    return all((folder / name).is_file() for name in (TENSORS, VALUES))


def passes(differences: dict[str, float]) -> bool:
    """Whether all differences of `compare` are small enough."""
    return all(
        value <= (1 if name == "edf_pixels_off" else TOLERANCE)
        for name, value in differences.items()
    )


# --- reading -------------------------------------------------------------------------------------


def read_fixture(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The folder's tensors, floating ones as float32, and its values; MtpanoError if damaged."""
    for name in (TENSORS, VALUES):
        if not (folder / name).is_file():
            raise MtpanoError(f"{folder / name} is missing: expected a folder with both files")
    try:
        tensors = load_file(folder / TENSORS)
    except (SafetensorError, OSError, ValueError) as error:
        raise MtpanoError(f"{folder} cannot be read ({error}): copy it again") from error
    values = read_json(folder / VALUES, "copy it again")
    needed = [f"{part}.{task}" for part in ("pred", "initial", "gt") for task in _MAIN]
    needed += [f"{part}.{n}" for part in _AUXILIARY for n in _RELEASED_NAMES.values()]
    missing = [name for name in (*needed, "valid", "image_uint8") if name not in tensors]
    if missing:
        raise MtpanoError(f"{folder / TENSORS} lacks {', '.join(missing)}: copy it again")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    return floats, values


_MAIN = ("semseg", "depth", "normals")
_AUXILIARY = ("auxiliary", "auxiliary_target")


def fixture_batch(tensors: dict[str, Tensor]) -> Batch:
    """The ground truth."""
    valid = tensors["valid"]
    return Batch(
        names=[],
        image=tensors["image_uint8"],
        depth=tensors["gt.depth"],
        depth_valid=valid,
        normals=tensors["gt.normals"],
        normals_valid=valid,
        semseg=tensors["gt.semseg"][:, 0],
        confidence=None,
        auxiliary={k: tensors[f"auxiliary_target.{v}"] for k, v in _RELEASED_NAMES.items()},
    )


def fixture_predictions(tensors: dict[str, Tensor]) -> Predictions:
    """What the authors' network said."""
    return Predictions(
        final={task: tensors[f"pred.{task}"] for task in _MAIN},
        initial={task: tensors[f"initial.{task}"] for task in _MAIN},
        auxiliary={k: tensors[f"auxiliary.{v}"] for k, v in _RELEASED_NAMES.items()},
    )


def _look_up(values: dict[str, Any], path: str) -> Any:
    """values["a"]["b.c"] for "a/b.c"."""
    for key in path.split("/"):
        if key not in values:
            raise MtpanoError(f"{VALUES} has no value '{path}': copy the folder again")
        values = values[key]
    return values


# --- our values ----------------------------------------------------------------------------------


def _our_values(
    tensors: dict[str, Tensor], batch: Batch
) -> Iterator[tuple[str, float | list[float]]]:
    """(path in values.json, our number) of everything that both sides know."""
    terms = multi_task_loss(fixture_predictions(tensors), batch, _PAPER, clamp=True)
    ours = {task: terms[task] for task in (*_MAIN, "total")}
    ours |= {f"aux_{task}": terms[f"initial.{task}"] for task in _MAIN}
    ours |= {f"ext_{v}": terms[f"auxiliary.{k}"] for k, v in _RELEASED_NAMES.items()}
    for name, loss in ours.items():
        yield f"losses/{name}", loss.item()
    for name, loss in _parts(tensors, batch).items():
        yield f"parts/{name}", loss.item()
    for name, cap in (("no_cap", None), ("cap_10m", 10.0)):
        for key, value in _depth_figures(tensors, cap).items():
            yield f"depth_metrics/{name}/{key}", value
    for key, value in _normals_figures(tensors).items():
        yield f"normals_metrics/{key}", value
    miou, ious = _semseg_figures(tensors)
    yield "semseg_metrics/miou", miou
    yield "semseg_metrics/iou", ious


def _parts(tensors: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Each term of the main losses with the others switched off."""
    parts: dict[str, Tensor] = {}
    for name, edge, frequency in (
        ("l1_only", False, False),
        ("l1_plus_edge", True, False),
        ("l1_plus_freq", False, True),
    ):
        config = replace(
            _PAPER,
            depth_edge=edge * _PAPER.depth_edge,
            normals_edge=edge * _PAPER.normals_edge,
            depth_frequency=frequency * _PAPER.depth_frequency,
            normals_frequency=frequency * _PAPER.normals_frequency,
        )
        for task, loss in (("depth", losses.depth_loss), ("normals", losses.normals_loss)):
            truth = getattr(batch, task)
            parts[f"{task}.{name}"] = loss(
                tensors[f"pred.{task}"], truth, batch.depth_valid, config
            )
    for name, config in (
        ("ce_only", replace(_PAPER, dice=0.0)),
        ("dice_only", replace(_PAPER, cross_entropy=0.0)),
    ):
        parts[f"semseg.{name}"] = losses.semseg_loss(tensors["pred.semseg"], batch.semseg, config)
    return parts


def _depth_figures(tensors: dict[str, Tensor], cap: float | None) -> dict[str, float]:
    metrics = DepthMetrics(Protocol("released", max_depth=cap))
    for i, truth in enumerate(tensors["gt.depth"].numpy()[:, 0]):
        prediction, valid = tensors["pred.depth"][i, 0].numpy(), tensors["valid"][i, 0].numpy()
        metrics.update(prediction, truth, valid, np.ones(truth.shape))
    names = {"rmse_log": "log_rmse", "delta1": "a1", "delta2": "a2", "delta3": "a3"}
    return {names.get(name, name): value for name, value in metrics.pooled().items()}


def _normals_figures(tensors: dict[str, Tensor]) -> dict[str, float]:
    valid = tensors["valid"][:, 0].numpy()
    prediction, truth = (
        tensors[name].permute(0, 2, 3, 1).numpy()[valid] for name in ("pred.normals", "gt.normals")
    )
    figures = exact_figures(angles_deg(prediction, truth))
    return {
        **{name: figures[f"{name}_deg"] for name in ("mean", "median", "rmse")},
        "11.25": 100 * figures["within_11_25"],
        "22.5": 100 * figures["within_22_5"],
        "30": 100 * figures["within_30"],
    }


def _semseg_figures(tensors: dict[str, Tensor]) -> tuple[float, list[float]]:
    logits = tensors["pred.semseg"]
    count = logits.shape[1]
    names = tuple(map(str, range(count)))
    classes = ClassSet("", names, ((0, 0, 0),) * count, (False,) * count, (None,) * count)
    metrics = SemsegMetrics(Protocol("released"), classes)
    labels, truth = logits.argmax(1).numpy(), tensors["gt.semseg"][:, 0].numpy()
    metrics.update(labels, np.where(truth == _FILL, IGNORE, truth), np.ones(truth.shape))
    ious = [np.nan if v is None else v for v in metrics.class_iou().values()]
    return metrics.pooled()["miou"], ious


# --- auxiliary targets ---------------------------------------------------------------------------


def _compare_targets(tensors: dict[str, Tensor]) -> dict[str, float]:
    gradient, sdf = (tensors[f"auxiliary_target.{n}"].numpy() for n in ("grad", "sdf"))
    images = tensors["image_uint8"].permute(0, 2, 3, 1).numpy()
    ours = np.stack([image_gradient(np.ascontiguousarray(image)) for image in images])
    points = _released_points(tensors["gt.depth"], tensors["valid"])
    off = np.mean([_edf_pixels_off(g, s[0]) for g, s in zip(gradient, sdf, strict=True)])
    return {
        "auxiliary_target/grad": _largest(ours, gradient),
        "auxiliary_target/point": _largest(points, tensors["auxiliary_target.point"].numpy()),
        "edf_pixels_off": float(off / (1 - EDF_SHARE)),
    }


def _relative(ours: float | list[float], theirs: Any) -> float:
    """Largest |ours - theirs| / |theirs|; in lists NaN, a class without pixels, equals 0."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if a.ndim:
        a, b = np.nan_to_num(a), np.nan_to_num(b)
    if a.shape != b.shape:
        raise MtpanoError(f"{VALUES} has {b.size} numbers where the tensors have {a.size} classes")
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), np.finfo(np.float32).tiny)))


def _largest(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    """Largest difference relative to the largest value: single pixels may be next to zero."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _released_points(depth: Tensor, valid: Tensor) -> NDArray[np.float32]:
    """Point map on the release's inclusive grids, in its frame (x right, y down, z backward)."""
    height, width = depth.shape[-2:]
    ray, _ = geometry_maps(height, width, "released", "angles")
    forward, up, left = ray.unbind(1)  # theta = 0 is behind the camera, at the left border
    points = depth * torch.stack([-left, -up, forward], 1)
    return torch.where(valid, points, _FILL).numpy()


def _edf_pixels_off(gradient: NDArray[np.float32], sdf: NDArray[np.float32]) -> float:
    """Share of pixels off by more than EDF_TOLERANCE, of those whose nearest edge needs no wrap."""
    ours = edge_distance_field(gradient)[0]
    edge = edges(gradient)
    if not edge.any():
        return 0.0  # the release has infinity there, ours half the width: nothing to compare
    plain = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    agree = np.abs(ours - np.log1p(plain)) < EDF_TOLERANCE / 10
    return float((np.abs(ours - sdf)[agree] > EDF_TOLERANCE).mean())
