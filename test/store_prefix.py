"""What a store that was cut off holds."""

from __future__ import annotations

from pathlib import Path

from store_program import members

from mtpano_model.data.store import Store


def check_prefix(root: Path) -> int:
    """All that is readable is the first panoramas, whole; returns how many."""
    store = Store(root)
    assert store.names == [f"p{n}" for n in range(len(store))]
    for n in range(len(store)):
        assert store.read(n) == members(n)
    return len(store)
