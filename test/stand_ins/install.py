"""Put the stand-ins where `import` finds them."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

import pytest

from mtpano_model.inference.engines.tensorrt import plans
from mtpano_model.inference.engines.tensorrt.builder import build_plan
from stand_ins.cuda import make_cuda
from stand_ins.machine import Machine
from stand_ins.trt import make_tensorrt


def install(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Machine:
    """Make `machine` the one this process runs on, for one test."""
    tensorrt = make_tensorrt(machine)
    tensorrt.__spec__ = ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", make_cuda(machine))
    # A child process would not know of this machine; test_tensorrt_build_process.py has its own.
    monkeypatch.setattr(plans, "build_in_process", build_plan)
    return machine
