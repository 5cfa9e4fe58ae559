"""A Hydra labelspace: which of a model's classes are objects, surfaces or moving things.

The keys are those of Hydra's own files (config/label_spaces).
"""

from __future__ import annotations

import yaml

from mtpano_model.classes import ClassSet

_SURFACES = ("wall", "floor", "ceiling", "door", "window")
_MOVING = ("person",)


def labelspace(classes: ClassSet, unlabelled: int) -> str:
    """The YAML file for a model's classes; `unlabelled` is the label that means none."""
    ids = range(len(classes))
    moving = [k for k in ids if classes.indoor18[k] in _MOVING]
    surfaces = [k for k in ids if classes.indoor18[k] in _SURFACES or classes.open[k]]
    floors = [k for k in ids if classes.indoor18[k] == "floor"]
    content = {
        "total_semantic_labels": len(classes),
        "dynamic_labels": moving,
        "invalid_labels": [*(k for k in ids if classes.open[k]), unlabelled],
        "object_labels": [k for k in ids if k not in {*moving, *surfaces}],
        "surface_places_labels": floors,
        "label_names": [{"label": k, "name": classes.names[k]} for k in ids],
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None)
