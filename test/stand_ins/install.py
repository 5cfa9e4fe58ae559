"""Put the stand-ins where `import` finds them."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

import pytest

from stand_ins.cuda import make_cuda
from stand_ins.machine import Machine
from stand_ins.trt import make_tensorrt


def install(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Machine:
    """Make `machine` the one this process runs on, for one test."""
    tensorrt = make_tensorrt(machine)
    tensorrt.__spec__ = ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", make_cuda(machine))
    return machine
