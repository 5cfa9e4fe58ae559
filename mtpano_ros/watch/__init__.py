"""What the node says of itself: diagnostics, logs, warnings about images and QoS."""
