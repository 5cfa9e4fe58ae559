"""ONNX graphs: metadata, tails, precisions and files of a model, without torch."""
