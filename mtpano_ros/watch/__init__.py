"""How the node reports: /diagnostics, log lines, warnings about images and QoS."""
