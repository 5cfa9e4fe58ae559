"""What OpenVINO has compiled: the next start takes it from disk, unless anything has changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from fake_model import write_fake_model

from mtpano_model.inference.engines import open_engine, processor

PICTURE = np.random.default_rng(3).integers(0, 256, (1, 64, 128, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mtpano" / "openvino"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for every model that OpenVINO really compiles."""
    done: list[str] = []
    compile_model = ov.Core.compile_model

    def counting(core: ov.Core, model: ov.Model, *rest: object) -> ov.CompiledModel:
        done.append(model.friendly_name)
        return compile_model(core, model, *rest)

    monkeypatch.setattr(ov.Core, "compile_model", counting)
    return done


def answers(model: Path, keep: bool = True) -> dict[str, np.ndarray]:
    engine = open_engine(model, "openvino", "cpu", precision="fp32", keep=keep)
    found = {name: array.copy() for name, array in engine.infer(PICTURE).items()}
    engine.close()
    return found


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_the_second_start_compiles_nothing_and_answers_the_same(
    tmp_path: Path, folder: Path, compiled: list[str]
) -> None:
    model = write_fake_model(tmp_path / "m.onnx")
    expected = answers(model)
    assert len(compiled) == 1
    assert_same(answers(model), expected)
    assert len(compiled) == 1


def test_nothing_is_kept_unasked(tmp_path: Path, folder: Path, compiled: list[str]) -> None:
    model = write_fake_model(tmp_path / "m.onnx")
    answers(model, keep=False)
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["zeroed", "cut"])
def test_a_damaged_file_is_compiled_anew(
    tmp_path: Path, folder: Path, compiled: list[str], damage: str
) -> None:
    model = write_fake_model(tmp_path / "m.onnx")
    expected = answers(model)
    (kept,) = folder.glob("*.engine")
    content = kept.read_bytes()
    half = len(content) // 2
    kept.write_bytes(content[:half] + (bytes(len(content) - half) if damage == "zeroed" else b""))
    for _ in range(2):  # what it makes now is whole again
        assert_same(answers(model), expected)
        assert len(compiled) == 2


def test_another_processor_compiles_anew(
    tmp_path: Path, folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_fake_model(tmp_path / "m.onnx")
    answers(model)
    (tmp_path / "cpuinfo").write_text("flags : fpu sse2\n")
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    answers(model)
    assert len(compiled) == 2


def test_a_replaced_model_takes_the_place_of_the_former(
    tmp_path: Path, folder: Path, compiled: list[str]
) -> None:
    model = write_fake_model(tmp_path / "m.onnx")
    answers(model)
    write_fake_model(model, decoder_stride=4)
    answers(model)
    assert len(compiled) == 2
    assert len(list(folder.glob("*.engine"))) == 1


def test_a_folder_that_cannot_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: list[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    model = write_fake_model(tmp_path / "m.onnx")
    assert_same(answers(model), answers(model))
    assert len(compiled) == 2
