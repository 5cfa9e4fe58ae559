"""ONNX graphs: what a model says of itself, its tails, precisions and files. No torch here."""
