"""A program that fills a store with panoramas whose bytes follow from their numbers.

python store_program.py STORE COUNT SHARD_BYTES [LARGEST_FILE]
"""

from __future__ import annotations

import resource
import signal
import sys

import numpy as np

from mtpano_model.data.store_writer import StoreWriter

META = {"class_set": "indoor18", "size": [8, 16], "labels": {"teachers": ["none"]}}


def members(number: int) -> dict[str, bytes]:
    """The bytes of panorama `number`."""
    rng = np.random.default_rng(number)
    return {"jpg": rng.bytes(700 + number), "depth": rng.bytes(512), "json": b'{"views": []}'}


def main(root: str, count: int, shard_bytes: int, largest_file: int | None = None) -> None:
    """Add what is missing up to `count` panoramas, telling each one's number."""
    if largest_file:  # stands in for a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    with StoreWriter(root, META, shard_bytes=shard_bytes) as writer:
        for number in range(count):
            if f"p{number}" not in writer:
                writer.add(f"p{number}", members(number))
                print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
