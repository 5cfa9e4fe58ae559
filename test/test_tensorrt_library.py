"""Whatever is missing is told in one sentence that says what to do."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt import jetson
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine
from mtpano_model.inference.engines.tensorrt.library import (
    find_gpu,
    load_cuda,
)


def open_engine(tmp_path: Path) -> None:
    path = write_fake_model(tmp_path / "m.onnx", (32, 64))
    TensorRTEngine(path, cache=EngineCache(tmp_path / "cache")).close()


def hide(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Make `import name` raise."""
    real = builtins.__import__
    for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, module)

    def fail(module: str, *args: Any, **kwargs: Any) -> ModuleType:
        if module == name or module.startswith(f"{name}."):
            raise error
        return real(module, *args, **kwargs)

    class Finder:
        @staticmethod
        def find_spec(module: str, *_: Any) -> None:
            if module == name or module.startswith(f"{name}."):
                raise error

    monkeypatch.setattr(builtins, "__import__", fail)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])


Breakage = Callable[[pytest.MonkeyPatch], Any]
BROKEN: dict[str, tuple[Breakage, str]] = {
    "no libcuda, told by raising": (
        lambda mp: install(mp, Machine(faults={"no libcuda"})),
        "no NVIDIA driver answers: .* --gpus all.*Failed to dlopen",
    ),
    "no driver": (
        lambda mp: install(mp, Machine(faults={"no driver"}, cuda_driver=0)),
        "no NVIDIA driver answers: install one .* --gpus all",
    ),
    "driver older than cuda-bindings": (
        lambda mp: install(mp, Machine(faults={"no driver"}, cuda_runtime=13000)),
        r'supports CUDA 12.6, cuda-bindings needs 13.0: .*pip install "cuda-python==12.6.2.post1"',
    ),
    "driver a little older than cuda-bindings": (
        lambda mp: install(
            mp, Machine(faults={"no driver"}, cuda_driver=12080, cuda_runtime=12090)
        ),
        r'supports CUDA 12.8, .*needs 12.9: pip install "cuda-bindings<=12.8.99" tensorrt-cu12',
    ),
    "JetPack 6 with a newer cuda-bindings": (
        lambda mp: (
            install(mp, Machine(faults={"no driver"}, cuda_runtime=12090)),
            mp.setattr(jetson, "RELEASE", Path(__file__)),
        ),
        r'pip install "cuda-python==12.6.2.post1" in place of cuda-bindings, or .*cuda-compat-12-9',
    ),
    "no gpu": (
        lambda mp: install(mp, Machine(faults={"no gpu"})),
        "shows no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES",
    ),
    "cuda in trouble": (
        lambda mp: install(mp, Machine(faults={"sticky"})),
        "CUDA does not start .error 700, cudaErrorIllegalAddress.",
    ),
    "TensorRT 8": (
        lambda mp: install(mp, Machine(tensorrt="8.6.1")),
        "TensorRT 8.6.1 is too old, 10.3 or newer",
    ),
    "TensorRT without its libraries": (
        lambda mp: (
            install(mp, Machine()),
            hide(mp, "tensorrt", ImportError("libnvinfer.so.10: cannot open shared object file")),
        ),
        "TensorRT cannot be imported .*libnvinfer.so.10.* --system-site-packages",
    ),
    "TensorRT that raises OSError": (
        lambda mp: (install(mp, Machine()), hide(mp, "tensorrt", OSError("libcuda.so.1"))),
        "TensorRT cannot be imported .*libcuda.so.1.*pip install tensorrt-cu12",
    ),
    "TensorRT for another numpy": (
        lambda mp: (
            install(mp, Machine()),
            hide(mp, "tensorrt", ValueError("numpy.dtype size changed")),
        ),
        "TensorRT cannot be imported .ValueError: numpy.dtype size changed",
    ),
    "cuda-bindings that break": (
        lambda mp: (
            install(mp, Machine()),
            hide(mp, "cuda.bindings.runtime", RuntimeError("libcudart is of another version")),
        ),
        "cuda-bindings cannot be imported .*libcudart is of another version",
    ),
    "no cuda-bindings": (
        lambda mp: (
            install(mp, Machine()),
            hide(mp, "cuda.bindings.runtime", ModuleNotFoundError("No module named 'cuda'")),
        ),
        'cuda-bindings cannot be imported .*pip install "cuda-bindings>=12.8,<13" .JetPack 6: ',
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_absence_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    break_it, sentence = BROKEN[what]
    break_it(monkeypatch)
    with pytest.raises(MtpanoError, match=sentence) as caught:
        open_engine(tmp_path)
    assert "\n" not in str(caught.value)


def test_without_the_onnx_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, Machine())
    path = write_fake_model(tmp_path / "m.onnx", (32, 64))
    package = "mtpano_model.inference.engines.tensorrt"
    modules = [f"{package}.{name}" for name in ("graph", "plans", "executor", "builder")]
    for module in modules:  # what is not there before would stay afterwards, beside the others
        import_module(module)
    for module in modules:
        monkeypatch.delitem(sys.modules, module)
    hide(monkeypatch, "onnx", ModuleNotFoundError("No module named 'onnx'"))
    with pytest.raises(MtpanoError, match="pip install onnx"):
        TensorRTEngine(path, cache=EngineCache(tmp_path / "cache"))


def test_the_gpu_as_cuda_describes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Machine(gpu="NVIDIA RTX 4090", capability=(8, 9), cuda_driver=13000))
    gpu = find_gpu(load_cuda())
    assert (gpu.name, gpu.compute_capability) == ("NVIDIA RTX 4090", "8.9")
    assert (gpu.driver, gpu.runtime, gpu.memory) == ("13.0", "12.6", 8 << 30)
    assert (gpu.multi_processors, gpu.integrated) == (16, False)


def test_the_real_cuda_bindings_without_a_driver_are_told_apart() -> None:
    """On a machine without a driver the real library is asked; elsewhere it finds a GPU."""
    pytest.importorskip("cuda.bindings.runtime")
    status, count = load_cuda().cudaGetDeviceCount()
    if int(status) == 0 and count:
        assert find_gpu(load_cuda()).name
    else:
        with pytest.raises(MtpanoError, match="NVIDIA driver"):
            find_gpu(load_cuda())
