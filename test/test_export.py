"""Exported models: the same numbers in every engine, precision and tail, and what they say."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from half_rounding import run_rounded, softmax_types
from networks import seeded, tiny
from operator_check import unsupported_operators

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.export.onnx_graph import check_size, export_cpu_tail
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.graph import save
from mtpano_model.graph.attention import is_vision_transformer, scale_queries_first
from mtpano_model.graph.gpu_tail import join_gpu_tail
from mtpano_model.graph.half_precision import compute_in_half
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.graph.save import save_model, store_weights_in_half
from mtpano_model.inference import load_estimator
from mtpano_model.inference.engines.tensorrt.graph import prepare_graph
from mtpano_model.network import PDBridgeNet
from mtpano_model.network.pretrained import save_pretrained

SLOW = ("small", "base", "large", "released")
PRESETS = ["nano", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@functools.cache  # an export takes many seconds: one a preset
def _exported(name: str) -> tuple[PDBridgeNet, bytes]:
    net = seeded(tiny(name))
    return net, export_cpu_tail(net).SerializeToString()


def _model(name: str) -> onnx.ModelProto:
    return onnx.load_from_string(_exported(name)[1])


def _picture(seed: int = 0) -> np.ndarray:
    """Smooth colours, as a room has them, uint8 [64, 128, 3]."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (1, 3, 8, 16))
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse), scale_factor=8)
    return fine[0].permute(1, 2, 0).numpy().astype(np.uint8)


def _torch_outputs(net: PDBridgeNet, picture: np.ndarray) -> dict[str, np.ndarray]:
    image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        final = net.predict(net.normalize(image), full_size=False).final
    return {name: map_.numpy() for name, map_ in final.items()}


def _engine_outputs(path: Path, backend: str, picture: np.ndarray) -> dict[str, np.ndarray]:
    with load_estimator(path, backend, "cpu", 1, "fp32") as estimator:
        outputs = estimator.infer(picture[None])
        return {name: np.array(map_) for name, map_ in outputs.items()}


def _degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between vectors along axis 1, whatever their lengths."""
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)))


def _differences(got: dict, wanted: dict) -> tuple[float, float, float]:
    """Largest relative depth difference, largest angle in degrees, share of unequal labels."""
    near = np.maximum(np.abs(wanted["depth"]), 1e-2)
    depth = (np.abs(got["depth"] - wanted["depth"]) / near).max()
    labels = (got["semseg"].argmax(1) != wanted["semseg"].argmax(1)).mean()
    return float(depth), float(_degrees(got["normals"], wanted["normals"]).max()), float(labels)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", PRESETS)
def test_engines_give_torchs_numbers(tmp_path, name, backend):
    net, _ = _exported(name)
    path = tmp_path / "model.onnx"
    save_model(_model(name), path)
    wanted = _torch_outputs(net, _picture())
    turn = frame_matrix(net.config.normals_frame, "optical").astype(np.float32)
    wanted["normals"] = np.einsum("ij,bjhw->bihw", turn, wanted["normals"])
    got = _engine_outputs(path, backend, _picture())
    depth, degrees, labels = _differences(got, wanted)
    assert depth < 1e-3
    assert degrees < 0.1
    assert labels < 1e-3


@pytest.mark.parametrize("name", PRESETS)
def test_every_form_is_valid_and_fit_for_tensorrt(tmp_path, name):
    forms = {}
    for form in ("fp32", "gpu", "fp16", "stored"):
        model = _model(name)
        if form in ("gpu", "fp16"):
            join_gpu_tail(model)
        if form == "fp16":
            compute_in_half(model)
        if form == "stored":
            store_weights_in_half(model)
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version == 18
        forms[form] = tmp_path / f"{form}.onnx"
        save_model(model, forms[form])
        assert unsupported_operators(forms[form]) == []
        kinds = {node.op_type for node in model.graph.node}
        assert kinds.isdisjoint({"Attention", "QLinearConv", "AffineGrid"})
        modes = {a.s for n in model.graph.node if n.op_type == "Pad" for a in n.attribute}
        assert b"wrap" not in modes
    assert forms["stored"].stat().st_size < 0.75 * forms["fp32"].stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base", "large", "released"])
def test_no_transformer_has_an_unscaled_score(tmp_path, name):
    exported = _model(name)
    assert scale_queries_first(exported.graph) == 0
    assert is_vision_transformer(exported.graph)
    save_model(exported, tmp_path / "m.onnx")
    prepare_graph(read_model_info(tmp_path / "m.onnx"), "fp16", tmp_path / "prepared.onnx")
    assert unsupported_operators(tmp_path / "prepared.onnx") == []
    prepared = onnx.load(tmp_path / "prepared.onnx")
    assert scale_queries_first(prepared.graph) == 0
    assert set(softmax_types(prepared)) == {onnx.TensorProto.FLOAT16}
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 128, 3), np.uint8)
    (found,), largest = run_rounded(prepared, [image])
    assert max(largest.values()) < 65504 / 8
    join_gpu_tail(exported)
    session = ort.InferenceSession(exported.SerializeToString())
    labels, normals = session.run(["labels", "normals"], {"image": image})
    assert np.mean(found["labels"] != labels) < 0.02
    cosines = (found["normals"] * normals).sum(-1)
    assert np.degrees(np.arccos(np.clip(np.percentile(cosines, 1), -1, 1))) < 1


def test_one_layer_normalization_node_a_norm():
    net, _ = _exported("nano")
    norms = sum(isinstance(m, torch.nn.LayerNorm) for m in net.modules())
    nodes = sum(node.op_type == "LayerNormalization" for node in _model("nano").graph.node)
    assert nodes == norms


def test_fp16_is_close_and_stored_halves_closer(tmp_path):
    wanted = _torch_outputs(_exported("nano")[0], _picture())
    for form, change, limits in (
        ("stored", store_weights_in_half, (5e-3, 0.5, 0.02)),
        ("fp16", compute_in_half, (2e-2, 2.0, 0.05)),
    ):
        model = _model("nano")
        change(model)
        path = tmp_path / f"{form}.onnx"
        save_model(model, path)
        got = _engine_outputs(path, "onnxruntime", _picture())
        assert all(d < limit for d, limit in zip(_differences(got, wanted), limits, strict=True))


def test_metadata_says_what_a_robot_needs():
    facts = json.loads(next(p.value for p in _model("nano").metadata_props if p.key == "mtpano"))
    assert facts["input_size"] == [64, 128]
    assert facts["output_size"] == [32, 64]
    assert facts["frame"] == "optical"
    assert [c["name"] for c in facts["classes"]][:3] == ["wall", "floor", "ceiling"]
    assert facts["license"] == "unknown", "nobody said under which licence these weights are"


def test_no_path_of_this_machine_travels_in_the_model():
    assert str(Path(__file__).parents[1]).encode() not in _exported("nano")[1]


def test_weights_beyond_protobufs_limit_go_beside_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(save, "_PROTOBUF_LIMIT", 1000)
    path = tmp_path / "large.onnx"
    data = tmp_path / "large.onnx.data"
    save_model(_model("nano"), path)
    size = data.stat().st_size
    assert path.stat().st_size < size * 10
    save_model(_model("nano"), path)
    assert data.stat().st_size == size, "a second export replaces the first"
    assert not list(tmp_path.glob(".*"))
    session = ort.InferenceSession(path)
    picture = _picture()
    (depth,) = session.run(["depth"], {"image": picture[None]})
    np.testing.assert_allclose(
        depth, _torch_outputs(_exported("nano")[0], picture)["depth"], rtol=1e-3
    )


def test_the_command_writes_what_was_asked_for(tmp_path, capsys, caplog):
    extra = {"license": "CC0", "trained_on": "noise"}
    save_pretrained(seeded(tiny("nano")), tmp_path / "net", extra=extra)
    out = tmp_path / "net_gpu.onnx"
    arguments = [str(tmp_path / "net.safetensors"), "--tail", "gpu", "--size", "96x192"]
    assert main(["export", *arguments, "--precision", "fp16", "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert "exported at 96x192, but trained at 64x128" in caplog.text
    with load_estimator(out, backend="onnxruntime") as estimator:
        assert estimator.info.input_size == (96, 192)
        assert estimator.info.tail == "gpu"
        assert (estimator.info.license, estimator.info.trained_on) == ("CC0", "noise")
        frame = estimator.predict(_picture())
    assert frame.depth.shape == (96, 192)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "100x200"], "100x200"),
        (["--size", "big"], "'big'"),
        (["--out", "."], "--out . is a folder"),
        (["--out", "/proc/model.onnx"], "/proc/model.onnx cannot be written"),
        (["--out", "net.json/model.onnx"], "net.json/model.onnx cannot be written"),
    ],
)
def test_bad_requests_say_what_to_do(tmp_path, monkeypatch, capsys, arguments, said):
    """And before the minutes that an export takes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mtpano_model.export.onnx_graph.export_cpu_tail", None)
    save_pretrained(seeded(tiny("nano")), tmp_path / "net")
    assert main(["export", str(tmp_path / "net.safetensors"), *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MtpanoError, match=r"model\.onnx cannot be written"):
        save_model(_model("nano"), tmp_path / "file" / "model.onnx")


def test_a_class_count_that_disagrees_is_refused():
    with pytest.raises(MtpanoError, match="7 classes"):
        export_cpu_tail(seeded(tiny("nano", num_classes=7)))
    with pytest.raises(MtpanoError, match="multiple of 32"):
        check_size(seeded(tiny("nano")), (80, 160))
