"""numba's cache may be damaged in any way: the loops run all the same, and one line says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="numba is not installed: pip install numba")

_RUN = """
import logging, os, sys
logging.basicConfig(format="%(message)s", level=os.environ.get("LEVEL", "WARNING"))
from mtpano_model.inference.compiled import compiled_loops
loops = compiled_loops("doubling")
hits = loops and sum(loops.double.stats.cache_hits.values())
print("numpy" if loops is None else loops.double(21.0), hits)
"""
_LOOPS = """
from numba import float64
from mtpano_model.inference.compiled import compiled, part

from parts import thing

@part
def twice(x):
    return x + thing(x)

@compiled(float64(float64))
def double(x):
    return twice(x)
"""
_PART = """
from mtpano_model.inference.compiled import part

@part
def thing(x):
    return x
"""


class Cache:
    """A module of compiled loops and a cache folder; `run` is a fresh process that uses them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cache"
        self.folder.mkdir()
        self.modules = folder / "modules"
        self.modules.mkdir()
        (self.modules / "doubling.py").write_text(_LOOPS)
        (self.modules / "parts.py").write_text(_PART)

    def run(self, **environment: str) -> tuple[str, str]:
        """(what the loop gave and whether it came from the cache, what was logged)."""
        paths = os.pathsep.join([str(self.modules), *sys.path])
        given = {"NUMBA_CACHE_DIR": str(self.folder), "PYTHONPATH": paths, **environment}
        done = subprocess.run(
            [sys.executable, "-c", _RUN],
            env=os.environ | given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr

    def files(self, ending: str) -> list[Path]:
        return sorted(p for p in self.folder.rglob(f"*{ending}") if p.is_file())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    cache = Cache(tmp_path_factory.mktemp("numba"))
    assert cache.run() == ("42.0 0", "")
    assert cache.run() == ("42.0 1", "")
    return cache


@pytest.fixture
def cache(filled: Cache, tmp_path: Path) -> Iterator[Cache]:
    """The filled cache, whole again after the test."""
    shutil.copytree(filled.folder, tmp_path / "whole")
    yield filled
    shutil.rmtree(filled.folder)
    shutil.copytree(tmp_path / "whole", filled.folder)


def _zeros(data: bytes) -> bytes:
    """As a power cut leaves it: the right length, a block of zeros inside."""
    begin = len(data) * 3 // 10
    size = min(512, len(data) - begin)
    return data[:begin] + bytes(size) + data[begin + size :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "random": lambda data: os.urandom(len(data)),
    "zeros inside": _zeros,
}


def test_compiling_is_announced_with_the_folder_and_loading_is_silent(cache: Cache) -> None:
    assert cache.run(LEVEL="INFO") == ("42.0 1", "")
    for file in cache.files(".nbi"):
        file.unlink()
    result, log = cache.run(LEVEL="INFO")
    assert result == "42.0 0"
    assert log.startswith("numba compiles the loops of doubling")
    assert f"kept in {cache.folder}" in log
    assert log.count("\n") == 1
    assert cache.run(LEVEL="INFO") == ("42.0 1", "")


def test_a_source_that_changed_is_announced_too(cache: Cache) -> None:
    """As after an update of the package, of which only numba itself knows."""
    source = cache.modules / "doubling.py"
    source.write_text(source.read_text() + "# changed\n")
    result, log = cache.run(LEVEL="INFO")
    assert (result, log.count("\n")) == ("42.0 0", 1)
    assert cache.run(LEVEL="INFO") == ("42.0 1", "")


def test_a_part_that_changes_in_another_module_is_compiled_anew(cache: Cache) -> None:
    part = cache.modules / "parts.py"
    part.write_text(_PART.replace("return x", "return 2 * x"))
    assert cache.run() == ("63.0 0", "")
    assert cache.run() == ("63.0 1", "")
    part.write_text(_PART)


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_anew(cache: Cache, ending: str, damage: str) -> None:
    files = cache.files(ending)
    assert files
    before = files[0].read_bytes()
    for file in files:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert cache.run() == ("42.0 0", "")
    assert len(cache.files(ending)[0].read_bytes()) == len(before)


def test_a_cache_without_its_checksums_is_made_anew_and_then_used(cache: Cache) -> None:
    (sums,) = cache.files(".json")
    sums.unlink()
    assert cache.run() == ("42.0 0", "")
    assert cache.run() == ("42.0 1", "")


@pytest.mark.parametrize("ending", [".nbi", ".nbc", ".json"])
def test_a_cache_that_cannot_be_written_is_named_once_and_done_without(
    cache: Cache, ending: str
) -> None:
    """A folder in place of a file stands for what no user may read, mend or delete."""
    for file in cache.files(ending):
        file.unlink()
        file.mkdir()
        (file / "inside").touch()
    result, log = cache.run()
    assert result == "42.0 0"
    assert str(cache.folder) in log
    assert "set NUMBA_CACHE_DIR" in log
    assert log.count("\n") == 1
    _, log = cache.run(LEVEL="INFO")
    assert log.splitlines()[-1].endswith("minutes on a busy machine")  # and nothing of being kept


def _add_one(x: float) -> float:
    return x + 1


def test_a_full_disk_leaves_no_half_written_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtpano_model.inference.compiled import compiled

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(Path, "write_text", full)

    from numba import float64

    assert compiled(float64(float64))(_add_one)(1.0) == 2
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("error", ["OSError('libllvm is gone')", "SystemError('numpy')"])
def test_a_broken_numba_leaves_numpy_and_one_line(tmp_path: Path, error: str) -> None:
    one = Cache(tmp_path)
    (one.modules / "numba.py").write_text(f"raise {error}")
    result, log = one.run()
    assert result == "numpy None"
    assert log.count("\n") == 1
    assert "replaced by slower numpy code" in log


def test_without_numba_nothing_is_said(tmp_path: Path) -> None:
    one = Cache(tmp_path)
    missing = "raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')"
    (one.modules / "numba.py").write_text(missing)
    assert one.run() == ("numpy None", "")
