"""Loops that numba compiles. They are optional: a fault of numba, or of its cache on disk, costs
time and never stops the program.

numba keeps the machine code in NUMBA_CACHE_DIR, or in `__pycache__` beside the module, or in the
user's cache folder, and runs what it finds there unchecked: of six files with 512 zeroed bytes two
aborted the process (numba 0.68). Nor does it see that a part in another module has changed. So
checksums of ours lie beside its files, and what does not fit them is compiled anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from mtpano_model.errors import one_line

log = logging.getLogger(__name__)

Loop = TypeVar("Loop", bound=Callable[..., Any])

# Division by zero is what it is in numpy.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_already_said: set[str] = set()


def compiled_loops(module: str, required: bool = False) -> ModuleType | None:
    """A module of compiled loops by its full name; None where numba cannot give it.

    numba's absence is no fault and nothing is logged; whatever else goes wrong is one warning.
    required: raise instead.
    """
    try:
        return import_module(module)
    except Exception as error:  # numba, llvmlite and numpy can disagree in any way
        if required:
            raise
        if not isinstance(error, ModuleNotFoundError) or error.name not in ("numba", "llvmlite"):
            _warn_once(f"{module} is replaced by slower numpy code: {one_line(error)}")
        return None


def part(loop: Loop) -> Loop:
    """A function that compiled loops call; it is compiled together with them."""
    import numba

    return numba.njit(**_OPTIONS)(loop)


def sum_part(loop: Loop) -> Loop:
    """A `part` whose sums may be taken in any order: else they are taken one number at a time."""
    import numba

    return numba.njit(fastmath={"reassoc"}, **_OPTIONS)(loop)


def compiled(signature: Any) -> Callable[[Loop], Loop]:
    """Machine code for arrays of these types, kept on disk, since compiling takes seconds.

    A cache that is damaged is made anew; one that cannot be read or written is done without, with
    one warning.
    """

    def compile_loop(loop: Loop) -> Loop:
        import numba

        cache = None
        try:
            kept = numba.njit(cache=True, **_OPTIONS)(loop)  # RuntimeError: no folder to keep it
            cache = _CacheFiles(loop, Path(kept.stats.cache_path))
            if not cache.whole():
                cache.remove()
            with _telling(loop, cache.folder):
                kept = _fix(kept, signature)
            cache.seal()
            return kept
        except Exception as error:  # unpickling can raise anything, a full disk OSError
            if cache is not None:
                cache.remove()
            _warn_once(
                f"numba's cache{'' if cache is None else f' in {cache.folder}'} is of no use "
                f"({one_line(error)}), so each start compiles anew, which takes seconds: check "
                "that folder's permissions and free space, or set NUMBA_CACHE_DIR to another one"
            )
        with _telling(loop, None):
            return _fix(numba.njit(**_OPTIONS)(loop), signature)

    return compile_loop


@contextmanager
def _telling(loop: Callable[..., Any], folder: Path | None) -> Iterator[None]:
    """Log that a module's loops are compiled, if numba finds that they have to be.

    folder: where the machine code will be kept.
    """
    from numba.core import event

    module = loop.__module__.rpartition(".")[2]
    kept = "" if folder is None else f"; kept in {folder}, so that it is done once"

    class Compiling(event.Listener):  # type: ignore[misc]  # numba has no types
        def on_start(self, _event: Any) -> None:
            _once(
                f"numba compiles the loops of {module}, which takes seconds, and minutes on a busy "
                f"machine{kept}",
                log.info,
            )

        def on_end(self, _event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Compiling()):
        yield


def _fix(dispatcher: Any, signature: Any) -> Any:
    """Compile for this signature, and for no other that a call might ask for."""
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


class _CacheFiles:
    """What numba keeps of one function (.nbi: index, .nbc: machine code), and our checksums."""

    def __init__(self, loop: Callable[..., Any], folder: Path) -> None:
        self.folder = folder
        self._stem = f"{Path(loop.__code__.co_filename).stem}.{loop.__qualname__}-"
        self._sums = folder / f"{self._stem}sha256.json"
        self._sources = _sources_of_parts(loop)

    def _files(self) -> list[Path]:
        found = sorted(self.folder.glob("*.nb[ic]"))
        return [file for file in found if file.name.startswith(self._stem)]

    def _digests(self) -> dict[str, str]:
        import hashlib  # loads OpenSSL, which who does not compile need not pay

        files = [*self._files(), *self._sources]
        return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    def whole(self) -> bool:
        """Whether all is as it was when it was sealed; no files at all are not."""
        try:
            return json.loads(self._sums.read_bytes()) == self._digests()
        except (OSError, ValueError, RecursionError):
            return False

    def seal(self) -> None:
        """Write the checksums unless they are there; OSError where that fails."""
        if not self.whole():
            self._sums.write_text(json.dumps(self._digests()), encoding="utf-8")

    def remove(self) -> None:
        """Delete the files, as far as that is allowed."""
        for file in (*self._files(), self._sums):
            with suppress(OSError):
                file.unlink()


def _sources_of_parts(loop: Callable[..., Any]) -> set[Path]:
    """Other files than its own whose parts a loop calls, and these in turn."""
    sources = set()
    for name in loop.__code__.co_names:
        called = getattr(loop.__globals__.get(name), "py_func", None)
        if called is not None:
            sources |= {Path(called.__code__.co_filename)} | _sources_of_parts(called)
    return sources - {Path(loop.__code__.co_filename)}


def _warn_once(text: str) -> None:
    _once(text, log.warning)


def _once(text: str, tell: Callable[[str, str], None]) -> None:
    if text not in _already_said:
        _already_said.add(text)
        tell("%s", text)
