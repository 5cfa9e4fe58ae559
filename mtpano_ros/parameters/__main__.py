"""Print a parameter file with every default (`config/pano.yaml` is one)."""

from mtpano_ros.parameters.table import as_yaml

print(as_yaml(), end="")
