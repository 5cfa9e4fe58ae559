"""The doctor sees what is wrong, says what to do, and exits 1 only for what stops everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from doctor_text import text
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine

from mtpano_model.commands import main
from mtpano_model.doctor import engines, python_side, storage
from mtpano_model.doctor.finding import Finding
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt import jetson
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine
from mtpano_ros.doctor import ros


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_fake_model(tmp_path / "rooms.onnx", (32, 64))


# --- the whole command ---------------------------------------------------------------------------


def test_a_sound_machine_exits_0(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", str(model)]) == 0
    out = capsys.readouterr().out
    for title in ("Python", "Engines", "NVIDIA GPU", "Model", "ROS 2", "Transport", "Engine cache"):
        assert f"\n{title}\n" in f"\n{out}"
    assert "rooms.onnx: preset fake, 18 classes (indoor18), 32x64, fp32, cpu tail" in out
    assert "it runs: " in out
    assert all(
        line.split()[0] in ("ok", "note", "fix") for line in out.splitlines() if line[:1] == " "
    )


def test_no_model_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "nowhere.onnx"]) == 1
    out = capsys.readouterr().out
    assert "fix   model 'nowhere.onnx'" in out
    assert "1 without which nothing runs" in out.splitlines()[-1]
    assert "Engine cache" in out  # the rest is examined all the same


def test_a_check_that_breaks_spoils_its_group_only(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[Finding]:
        raise ZeroDivisionError("in the check")

    monkeypatch.setattr(ros, "check", broken)
    assert main(["doctor", "--model", str(model)]) == 1
    out = capsys.readouterr().out
    assert "fix   ROS 2: ZeroDivisionError: in the check" in out
    assert "Transport" in out


def test_it_loads_neither_torch_nor_rclpy(model: Path) -> None:
    script = (
        "import sys; from mtpano_model.commands import main; "
        f"status = main(['doctor', '--model', {str(model)!r}]); "
        "loaded = {'torch', 'rclpy'} & set(sys.modules); "
        "sys.exit(status or (f'loaded {loaded}' if loaded else 0))"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# --- engines -------------------------------------------------------------------------------------


def test_a_jetson_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Machine())
    findings = engines.check_gpu()
    assert {finding.level for finding in findings} == {"ok"}
    words = text(findings, "ok")
    assert "Orin, compute capability 8.7, 8 GiB; driver for CUDA 12.6" in words
    assert "TensorRT 10.3.0" in words


@pytest.mark.parametrize(
    ("integrated", "meminfo", "told"),
    [
        (True, "MemTotal: 8000000 kB\nMemAvailable:    2097152 kB\n", True),
        (True, "MemAvailable: 6291456 kB\n", False),
        (True, "", False),
        (False, "MemAvailable: 2097152 kB\n", False),
    ],
)
def test_little_memory_on_a_jetson_is_told_before_a_build_meets_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, integrated: bool, meminfo: str, told: bool
) -> None:
    install(monkeypatch, Machine(integrated=integrated))
    (tmp_path / "meminfo").write_text(meminfo)
    monkeypatch.setattr(jetson, "MEMORY", tmp_path / "meminfo")
    advice = text(engines.check_gpu(), "fix")
    assert ("2.0 GiB of memory are free" in advice) == told


@pytest.mark.parametrize(
    ("status", "modes", "words"),
    [
        ("pmode:0002 fmode:quiet", "< POWER_MODEL ID=2 NAME=MODE_30W >", "power mode 2, MODE_30W"),
        ("pmode:0000", "", "power mode 0"),
        ("pmode:0012\n", "< POWER_MODEL ID=1 NAME=MODE_10W >", "power mode 12"),
        ("", "< POWER_MODEL ID=0 NAME=MAXN >", ""),
    ],
)
def test_the_power_mode_of_a_jetson_is_in_the_machine_s_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str, modes: str, words: str
) -> None:
    for name, content in (("RELEASE", "# R36 (release), REVISION: 4.0"), ("POWER_MODES", modes)):
        (tmp_path / name).write_text(content)
        monkeypatch.setattr(jetson, name, tmp_path / name)
    monkeypatch.setattr(jetson, "POWER_STATUS", tmp_path / "status")
    if status:
        (tmp_path / "status").write_text(status)
    (machine,) = [f.text for f in python_side.check() if "GiB of memory" in f.text]
    assert machine.endswith(", Jetson R36 (release)" + (f", {words}" if words else ""))


def test_a_gpu_without_its_driver_is_to_be_fixed_and_no_gpu_is_fine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, Machine(faults={"no driver"}, cuda_driver=0))
    monkeypatch.setattr(engines, "GPU_SIGNS", (tmp_path,))
    assert "--gpus all" in text(engines.check_gpu(), "fix")
    monkeypatch.setattr(engines, "GPU_SIGNS", ())
    assert "a processor will do" in text(engines.check_gpu(), "note")
    assert not text(engines.check_gpu(), "fix")


def test_a_gpu_without_tensorrt_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Machine(tensorrt="8.6.1"))
    findings = engines.check_gpu()
    assert "the GPU is not used: TensorRT 8.6.1 is too old" in text(findings, "fix")
    assert not any(finding.essential for finding in findings)


@pytest.mark.parametrize("gpu", [False, True])
def test_no_processor_engine_is_essential_unless_the_gpu_has_one(
    monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    install(monkeypatch, Machine(faults=set() if gpu else {"no driver"}))
    for name in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)  # what import then raises is ImportError
    findings = engines.check_processor_engines()
    (missing,) = [finding for finding in findings if finding.level == "fix"]
    assert "pip install openvino" in missing.advice
    assert missing.essential == (not gpu)


def test_old_and_new_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    assert any(f.essential and "3.10 to 3.13" in f.advice for f in python_side.check())
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    assert "newer than the tested" in text(python_side.check(), "note")


def test_a_broken_opencv_is_essential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    (broken,) = [finding for finding in python_side.check() if finding.level == "fix"]
    assert broken.essential
    assert "opencv-python-headless" in broken.advice


# --- engine cache --------------------------------------------------------------------------------


def test_cached_engines_are_listed_by_use(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    install(monkeypatch, Machine())
    TensorRTEngine(model).close()
    assert "for this machine, built" in text(storage.check(), "ok")
    install(monkeypatch, Machine(tensorrt="10.4.0"))
    assert "1 engines (0 MiB) for another TensorRT or GPU" in text(storage.check(), "note")


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = storage.check(EngineCache(tmp_path / "file" / "cache"))
    assert "set XDG_CACHE_HOME" in text(findings, "fix")
    assert not any(finding.essential for finding in findings)
