"""TensorRT: library, builder, plans and their cache, executor."""
