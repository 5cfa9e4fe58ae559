"""Panorama in, `Frame` out: preprocess, engine, postprocess; free of ROS and torch.

    estimator = load_estimator()
    frame = estimator.predict(rgb)

Engines are imported when one is opened, not before.
"""

from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.estimator import Estimator, load_estimator
from mtpano_model.inference.frame import Frame
from mtpano_model.inference.postprocess import ValueRules

__all__ = ["Estimator", "Frame", "ModelInfo", "ValueRules", "load_estimator"]
