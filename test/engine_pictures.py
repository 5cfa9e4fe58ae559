"""Which backends are installed, and a picture for them."""

from __future__ import annotations

import pytest


def installed(backend: str) -> str:
    pytest.importorskip(backend)
    return backend
