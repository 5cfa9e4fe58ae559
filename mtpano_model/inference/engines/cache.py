"""Built engines on disk, found again only if nothing that they depend on has changed.

One engine is two files in a folder, for TensorRT's `$XDG_CACHE_HOME/mtpano/engines`:
NAME-KEY.engine and NAME-KEY.json, which says what it was built from and for. The sidecar is written
last, so an engine without one was cut off.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import mmap
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mtpano_model.whole_files import PART, write_json, write_whole

log = logging.getLogger(__name__)

FORMAT = 1
_CHUNK = 1 << 20
_LEFTOVER_AGE = 24 * 3600.0  # seconds; no build takes longer
_LOCK_POLL = 0.2  # seconds
_TOO_LARGE_TO_ADD_UP = 256 << 20  # bytes: a gigabyte takes seconds, at each start
# What a file of another kind raises when it is read as a sidecar.
_NO_SIDECAR = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class EngineFacts:
    """All that a built engine depends on: two engines with equal facts are interchangeable.

    model: sha256 of the ONNX bytes and its external data. Each library adds facts of its own.
    """

    model: str

    @property
    def key(self) -> str:
        """16 hexadecimal digits that change when any fact does."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differences(self, other: dict[str, Any]) -> list[str]:
        """What `other` (facts read from a sidecar) says differently, in words."""
        found = []
        for field in fields(self):
            mine = json.loads(json.dumps(getattr(self, field.name)))
            theirs = other.get(field.name)
            if mine == theirs:
                continue
            if field.name == "model":
                found.append("the model file has other contents")
            else:
                name = field.name.replace("_", " ")
                found.append(f"it was built for {name} {theirs}, needed is {mine}")
        return found


@dataclass(frozen=True)
class Lookup:
    """plan: the engine's bytes, or None with the reason why there are none to use.

    They are the mapped file: an engine of a gigabyte is not held twice while TensorRT reads it.
    """

    plan: bytes | mmap.mmap | None
    reason: str = ""


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/mtpano/engines`, `~/.cache/mtpano/engines` without the variable."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification: a relative path is to be ignored
        return Path(base) / "mtpano" / "engines"
    try:
        return Path.home() / ".cache" / "mtpano" / "engines"
    except RuntimeError:  # a container user without a home
        return Path(tempfile.gettempdir()) / "mtpano" / "engines"


def model_digest(path: Path, external_files: list[Path]) -> str:
    """sha256 over the bytes of an ONNX file and of the files that hold its large tensors."""
    digest = hashlib.sha256()
    for part in (path, *sorted(external_files)):
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


class EngineCache:
    """The engines in one folder, which need not exist yet."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def path(self, model: Path, facts: EngineFacts) -> Path:
        """Where the engine of `model` with these facts is kept."""
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", model.stem)
        return self.folder / f"{stem}-{facts.key}.engine"

    def load(self, model: Path, facts: EngineFacts) -> Lookup:
        """The engine's bytes if they are whole and belong to `facts`, else the reason."""
        path = self.path(model, facts)
        try:
            sidecar = _read_sidecar(path.with_suffix(".json"))
            if sidecar is None:
                return Lookup(None, self._why_absent(path, facts))
            if differences := facts.differences(sidecar["facts"]):
                return Lookup(None, "; ".join(differences))
            plan = _mapped(path)
            untouched = path.stat().st_mtime_ns == sidecar.get("modified")
            trusted = untouched and len(plan) > _TOO_LARGE_TO_ADD_UP
        except FileNotFoundError:
            return Lookup(None, f"{path.name} is missing beside its sidecar")
        except OSError as error:
            return Lookup(None, f"{path.name} cannot be read: {error.strerror}")
        except _NO_SIDECAR as error:
            return Lookup(None, f"the sidecar of {path.name} is damaged ({type(error).__name__})")
        if len(plan) != sidecar["bytes"]:
            return Lookup(
                None, f"{path.name} is truncated: {len(plan)} of {sidecar['bytes']} bytes"
            )
        if not trusted and hashlib.sha256(plan).hexdigest() != sidecar["sha256"]:
            return Lookup(None, f"{path.name} is damaged: its checksum does not match")
        return Lookup(plan)

    def _why_absent(self, path: Path, facts: EngineFacts) -> str:
        if path.exists():
            return f"{path.name} has no sidecar: writing it was cut off"
        stem = path.stem.removesuffix(facts.key)
        nearest: list[str] = []
        for sidecar in self.sidecars():
            if sidecar["file"].startswith(stem):
                differences = facts.differences(sidecar["facts"])
                if not nearest or len(differences) < len(nearest):
                    nearest = differences
        if nearest:
            return f"the cached engine does not fit: {'; '.join(nearest)}"
        return "no engine of this model is cached"

    def store(self, model: Path, facts: EngineFacts, plan: bytes, details: dict[str, Any]) -> Path:
        """Write engine and sidecar, each atomically; OSError where the folder or disk refuses.

        details: anything worth knowing later (settings, seconds). Engines of former contents of
        the same model file, otherwise alike, are removed.
        """
        path = self.path(model, facts)
        self.folder.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        write_whole(path, plan, durable=True)
        sidecar = {
            "format": FORMAT,
            "file": path.name,
            "facts": asdict(facts),
            "bytes": len(plan),
            "sha256": hashlib.sha256(plan).hexdigest(),
            "modified": path.stat().st_mtime_ns,
            "source": str(model.absolute()),
            "built": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **details,
        }
        write_json(path.with_suffix(".json"), sidecar)
        for file in (path, path.with_suffix(".json")):
            file.chmod(0o644)  # whatever the umask: another user may run what root built
        self._remove_superseded(sidecar)
        return path

    def _remove_superseded(self, newest: dict[str, Any]) -> None:
        for sidecar in self.sidecars():
            same = {k: v for k, v in sidecar["facts"].items() if k != "model"}
            if (
                sidecar["file"] != newest["file"]
                and sidecar.get("source") == newest["source"]
                and same == {k: v for k, v in _as_json(newest["facts"]).items() if k != "model"}
            ):
                log.info("removing %s: its model file was replaced", sidecar["file"])
                for suffix in (".json", ".engine"):
                    with contextlib.suppress(OSError):
                        (self.folder / sidecar["file"]).with_suffix(suffix).unlink()

    def sidecars(self) -> list[dict[str, Any]]:
        """What is known of every engine here; unreadable ones are left out."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(OSError, *_NO_SIDECAR):
                if sidecar := _read_sidecar(path):
                    found.append(sidecar)
        return found

    @contextlib.contextmanager
    def lock(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Let one process at a time build here: the other then finds the engine made.

        Two builds at once would also spoil each other's timings. The system frees the lock if its
        holder dies. `waiting` is called every 0.2 s while another holds it, and may raise to give
        up. Where the folder takes no lock (read-only, some network file systems) nobody waits.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context((self.folder / "build.lock").open("wb"))
                _take_lock(file.fileno(), waiting)
            except OSError as error:
                log.debug("no lock in %s: %s", self.folder, error)
            yield

    @contextlib.contextmanager
    def scratch_folder(self, needed: int = 0) -> Iterator[Path]:
        """A folder for a build's intermediate files, here if `needed` bytes find room.

        What builds that were killed left here is swept after a day.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for leftover in (*self.folder.glob("tmp-*"), *self.folder.glob(f".*{PART}")):
                if time.time() - leftover.stat().st_mtime > _LEFTOVER_AGE:
                    shutil.rmtree(leftover, ignore_errors=True)
                    leftover.unlink(missing_ok=True)
            if shutil.disk_usage(self.folder).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            scratch = tempfile.mkdtemp(prefix="tmp-", dir=self.folder)
        except OSError:
            scratch = tempfile.mkdtemp(prefix="mtpano-")
        try:
            yield Path(scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _mapped(path: Path) -> bytes | mmap.mmap:
    """A file's bytes, read where they are asked for; an empty file cannot be mapped."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read_sidecar(path: Path) -> dict[str, Any] | None:
    """None if there is none; one of _NO_SIDECAR if it is not one of ours."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    sidecar = json.loads(text)
    if sidecar["format"] != FORMAT or not isinstance(sidecar["facts"].get("model"), str):
        raise ValueError("unknown format")
    if Path(str(sidecar["file"])).name != sidecar["file"]:
        raise ValueError("no name of an engine")
    _ = sidecar["bytes"], sidecar["sha256"]
    return sidecar


def _take_lock(descriptor: int, waiting: Callable[[], None]) -> None:
    import fcntl  # POSIX only, like the robots

    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        waiting()
        time.sleep(_LOCK_POLL)


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
