"""Panorama in, `Frame` out: preprocess, engine, postprocess; free of ROS and torch.

    estimator = load_estimator()
    frame = estimator.predict(rgb)

Engines are imported when one is opened, not before. So are these names, since parts of this package
serve those who open no model.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtpano_model.graph.model_info import ModelInfo
    from mtpano_model.inference.estimator import Estimator, load_estimator
    from mtpano_model.inference.frame import Frame
    from mtpano_model.inference.postprocess import ValueRules

__all__ = ["Estimator", "Frame", "ModelInfo", "ValueRules", "load_estimator"]

_PLACES = {
    "Estimator": "mtpano_model.inference.estimator",
    "Frame": "mtpano_model.inference.frame",
    "ModelInfo": "mtpano_model.graph.model_info",
    "ValueRules": "mtpano_model.inference.postprocess_rules",
    "load_estimator": "mtpano_model.inference.estimator",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
