"""Our node against a naive one, the machine and itself: `python -m benchmarks`."""
