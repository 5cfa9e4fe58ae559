"""Which Python an installed package was compiled for. Loads nothing but Python itself."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

OWN_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
CHANGE_PYTHON = (
    "deactivate conda or the virtual environment, or name the right Python in MTPANO_PYTHON"
)
_TAG = re.compile(r"\.cpython-(\d)(\d+)\w*-[^/]*\.so$")


def built_for(package: str) -> str:
    """Such as "3.11" where no extension module of `package` fits this Python; empty otherwise.

    A Python of another release finds such a package in PYTHONPATH, and fails at its extension.
    """
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return ""
    tags: set[str] = set()
    for folder in spec.submodule_search_locations or () if spec else ():
        for file in Path(folder).rglob("*.so"):
            found = _TAG.search(file.name)
            if found:
                tags.add(f"{found[1]}.{found[2]}")
    return "" if OWN_PYTHON in tags else ", ".join(sorted(tags))
