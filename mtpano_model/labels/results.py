"""Writes previews and quality figures beside a labelled store."""

from __future__ import annotations

import json
from pathlib import Path

from mtpano_model.classes import load_class_set
from mtpano_model.data.panorama import DatasetPanoramas
from mtpano_model.data.pseudo_encoding import decode
from mtpano_model.data.store import Store
from mtpano_model.errors import writing
from mtpano_model.labels.preview import preview
from mtpano_model.labels.quality import LabelQuality
from mtpano_model.pictures.files import write_picture
from mtpano_model.pictures.folders import short_name
from mtpano_model.whole_files import write_json

PREVIEWS = 12
_ADVICE = "free some disk space or choose another --out; the store itself is complete"


def write_previews(root: Path) -> None:
    """STORE/preview: pictures of the first panoramas' labels, as they read back."""
    store, folder = Store(root), root / "preview"
    with writing(folder, _ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(store.names[:PREVIEWS]):
        path = folder / f"{short_name(name.replace('/', '_'))}.png"
        labels = decode(store.read(index), store.size)
        with writing(path, _ADVICE):
            write_picture(path, preview(labels, load_class_set(store.class_set), name))


def write_quality(root: Path, source: DatasetPanoramas, align_depth: bool) -> None:
    """STORE/label_quality.json: the store as it reads back, against the ground truth."""
    store, quality = Store(root), LabelQuality()
    places = {name: index for index, name in enumerate(source.dataset.names)}
    for index, name in enumerate(store.names):
        if name in places:
            labels = decode(store.read(index), store.size)
            quality.add(labels, source.dataset[places[name]])
    report = quality.report(align_depth)
    with writing(root / "label_quality.json", _ADVICE):
        write_json(root / "label_quality.json", report)
    print(json.dumps(report, indent=1))
