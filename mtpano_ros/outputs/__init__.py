"""The node's outputs: their topics, messages and publishers."""
