"""Chooses the Ray cluster of a job: RAY_ADDRESS, one that this user started here, or a new one.

`ray.init(address="auto")` would join any Ray that runs on the machine: another user's, or the
private one of another program, which ends with that program.
"""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import Any

from mtpano_model.errors import MtpanoError, needed_module, on_one_line

log = logging.getLogger(__name__)

_KNOCK = 10.0  # seconds until a cluster's head is taken to be away


def connected(count: int | None) -> Any:
    """The module `ray`, connected. count: workers of a new local Ray; None: one per CPU.

    MtpanoError if Ray is missing or the cluster does not answer.
    """
    ray = needed_module("ray", "'--on ray'", ", or use --on local:N")
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address and address != "local":
            log.info("Ray: using the cluster at %s (RAY_ADDRESS)", address)
            _knock(address)
            ray.init(address=address, **options)
        elif not address and (own := _started_here()):
            log.info("Ray: using the cluster at %s that you started on this machine", own)
            ray.init(**options)  # without the address, for only so Ray uses the user's token
        else:
            log.info("Ray: starting a new one on this machine; to use a cluster, set RAY_ADDRESS")
            ray.init(address="local", num_cpus=count, include_dashboard=False, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise MtpanoError(
            f"Ray cannot be reached ({on_one_line(str(error))}): check RAY_ADDRESS, and "
            "RAY_AUTH_MODE if the cluster needs a token, or set RAY_ADDRESS=local to start a new "
            "local Ray"
        ) from error
    return ray


def _started_here() -> str | None:
    """Address of the Ray that this user started on this machine; empty or None if there is none."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    note = Path(folder, "ray", "ray_current_cluster")
    try:
        owner, address = note.stat().st_uid, note.read_text(encoding="utf-8").strip()
        if owner != os.getuid():
            log.info("Ray: the cluster at %s is another user's and is not joined", address)
            return None
        _knock(address)
    except (OSError, ValueError):  # none, or one that ended without `ray stop`
        return None
    return address


def _knock(address: str) -> None:
    """OSError if nothing listens at HOST:PORT, for which Ray would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()
