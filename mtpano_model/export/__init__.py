"""From a network in torch to an ONNX file."""
