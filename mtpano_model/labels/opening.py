"""Opens the pictures and teachers of a request, and describes its store.

Only processes that label load torch.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from mtpano_model.data.folder import FolderPanoramas
from mtpano_model.data.panorama import DatasetPanoramas, Panorama, PanoramaSource
from mtpano_model.data.rig import RigShots
from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.data.sources import SOURCES
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.job.job import Opened
from mtpano_model.labels.request import LabelRequest
from mtpano_model.labels.teachers import describe, open_teacher
from mtpano_model.shots.recording import is_recording, refuse_bag_options


def open_all(request: LabelRequest) -> Opened:
    """All that a worker needs; MtpanoError if any of it cannot be opened."""
    import torch

    from mtpano_model.labels.engine import LabelEngine
    from mtpano_model.torch_device import torch_device

    torch.set_num_threads(request.threads)
    source = open_source(request)
    device = torch_device(request.device)
    config = LabelConfig(
        height=request.height or _own_height(source) or LabelConfig.height,
        patches=request.patches,
        patch_size=request.patch_size,
        pitch_deg=request.pitch,
        hfov_deg=request.hfov,
        class_set=request.class_set,
        batch=request.batch,
        seed=request.seed,
    )
    teachers = [
        open_teacher(
            spec,
            request.class_set,
            request.device,
            request.teacher_scale_drift,
            request.noncommercial,
        )
        for spec in request.teacher
    ]
    engine = LabelEngine(teachers, config, device)
    made = {k: v for k, v in asdict(replace(config, pitch_deg=engine.pitch_deg)).items()
            if k not in ("batch", "height", "class_set")}  # fmt: skip
    made |= {"teachers": describe(teachers), "teacher_scale_drift": request.teacher_scale_drift}
    meta = {"class_set": config.class_set, "size": config.size, "labels": made}
    return Opened(source, engine, meta)


def open_source(request: LabelRequest) -> PanoramaSource:
    """The pictures to label, not read yet; MtpanoError if the request is contradictory or empty."""
    if (request.input is None) == (request.data is None):
        raise MtpanoError(
            "give either --input, or --data with --root, to name the pictures to label"
        )
    if request.input is not None and request.root is not None:
        raise MtpanoError("--root is the folder of a data set: give it with --data, not --input")
    if request.rig is not None:
        if request.input is None or request.topic is not None:
            raise MtpanoError(
                "--rig describes the pictures of --input and names their topics: give --input, "
                "and leave --topic out"
            )
        return RigShots(request.input, request.rig, request.every)
    if request.input is not None and is_recording(request.input):
        return BagPanoramas(request.input, request.topic, request.every)
    refuse_bag_options(request.input or request.data, request.topic, request.every)
    if request.input is not None:
        return FolderPanoramas(request.input)
    if request.root is None:
        raise MtpanoError(f"--data {request.data} needs --root, the folder of the data set")
    assert request.data is not None
    # The truth is read at the canvas's size, so that the oracle and label_quality.json agree on it.
    kind = SOURCES[request.data]
    size = (request.height, 2 * request.height) if request.height else kind.size
    return DatasetPanoramas(kind.open(request.root, "all", size, request.class_set))


def _own_height(source: PanoramaSource) -> int | None:
    """Rows of a labelled data set's pictures: of the first that can be read."""
    if not isinstance(source, DatasetPanoramas):
        return None
    readable = (item for item in source.panoramas() if isinstance(item, Panorama))
    return next((panorama.image.shape[0] for panorama in readable), None)
