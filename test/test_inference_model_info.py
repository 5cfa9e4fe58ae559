"""What a model file must say about itself, and how it is refused when it does not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_model import default_classes, write_fake_model

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.graph import model_info
from mtpano_model.graph.header import read_onnx_header
from mtpano_model.graph.model_info import find_model, read_model_info


def refusal(path: Path) -> str:
    with pytest.raises(MtpanoError) as caught:
        read_model_info(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_the_header_agrees_with_onnx(tmp_path):
    path = write_fake_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    header = read_onnx_header(path)
    assert header.metadata == {entry.key: entry.value for entry in model.metadata_props}
    for ours, theirs in ((header.inputs, model.graph.input), (header.outputs, model.graph.output)):
        assert list(ours) == [value.name for value in theirs]
        for value in theirs:
            spec = ours[value.name]
            shape = value.type.tensor_type.shape.dim
            assert spec.shape == tuple(d.dim_value for d in shape)
            assert np.dtype(spec.dtype) == onnx.helper.tensor_dtype_to_np_dtype(
                value.type.tensor_type.elem_type
            )


def test_the_facts_are_read(tmp_path):
    path = write_fake_model(tmp_path / "m.onnx", size=(32, 64), decoder_stride=4)
    info = read_model_info(path)
    default = load_class_set("indoor18")
    assert info.classes == default
    assert (info.input_size, info.output_size, info.tail) == ((32, 64), (8, 16), "cpu")
    assert (info.license, info.preset, info.path) == ("Apache-2.0", "fake", path)
    assert info.unlabelled == 255


def test_an_own_class_set_keeps_its_names_colours_and_openness(tmp_path):
    table = [
        {"name": "sky", "color": "#0102ff", "open": True},
        {"name": "ground", "color": "#a0b0c0", "open": False},
    ]
    classes = read_model_info(write_fake_model(tmp_path / "m.onnx", classes=table)).classes
    assert classes.names == ("sky", "ground")
    assert classes.palette == ((1, 2, 255), (160, 176, 192))
    assert classes.open == (True, False)


def test_a_missing_file_is_named_with_the_place_looked_at(tmp_path):
    path = tmp_path / "nowhere.onnx"
    with pytest.raises(MtpanoError, match="does not exist") as caught:
        find_model(path)
    assert str(path) in str(caught.value)


def test_a_missing_bundled_name_says_where_it_was_looked_for():
    with pytest.raises(MtpanoError, match="looked for") as caught:
        find_model("no_such_model")
    assert str(Path("weights") / "no_such_model.onnx") in str(caught.value)


def test_a_bundled_name_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(model_info, "WEIGHTS", tmp_path)
    path = write_fake_model(tmp_path / "tiny.onnx")
    assert find_model("tiny") == path


def test_a_model_without_our_metadata_is_refused(tmp_path):
    path = write_fake_model(tmp_path / "m.onnx", with_metadata=False)
    assert "no 'mtpano' metadata" in refusal(path)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"format": None}, "format number"),
        ({"classes": default_classes()[:-1]}, "17 classes but its semseg output has 18"),
        ({"classes": []}, "no classes"),
        ({"classes": [{"name": "wall"}]}, "incomplete"),
        ({"classes": [{"name": "wall", "color": 3, "open": False}]}, "incomplete"),
        ({"input_size": [64, 100]}, "2:1"),
        ({"input_size": [32, 64]}, "calls for uint8 [1, 32, 64, 3]"),
        ({"input_size": 64}, "incomplete"),
        ({"output_size": [16, 32]}, "calls for float32 [1, 1, 16, 32]"),
        ({"frame": "body"}, "frame = 'body'"),
        ({"depth": "disparity"}, "expected range_m"),
        ({"tail": "tpu"}, "expected cpu or gpu"),
        ({"tail": "gpu"}, "metadata calls for"),
    ],
)
def test_metadata_that_cannot_be_trusted_is_refused(tmp_path, metadata, words):
    assert words in refusal(write_fake_model(tmp_path / "m.onnx", metadata=metadata))


def test_a_model_that_is_not_2_to_1_is_refused(tmp_path):
    path = write_fake_model(tmp_path / "m.onnx", size=(64, 96))
    assert "64x96" in refusal(path)


@pytest.mark.parametrize("text", ["not json", "[1]", '"format"'])
def test_broken_metadata_is_refused(tmp_path, text):
    path = write_fake_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.metadata_props[0].value = text
    onnx.save(model, path)
    assert "metadata" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"hello world, this is no model", b"\x08", bytes(64)])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert "cannot be read as ONNX" in refusal(path)


def test_a_truncated_model_is_refused(tmp_path):
    path = write_fake_model(tmp_path / "m.onnx")
    whole = path.read_bytes()
    for length in (10, len(whole) // 3, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "copy it again" in refusal(path)


def test_damaged_bytes_never_do_more_than_refuse(tmp_path):
    path = write_fake_model(tmp_path / "m.onnx", size=(16, 32))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = whole.copy()
        place = rng.integers(0, len(whole), rng.integers(1, 8))
        damaged[place] = rng.integers(0, 256, len(place))
        path.write_bytes(damaged.tobytes())
        try:
            read_model_info(path)
        except MtpanoError:
            refused += 1
    assert refused > 0


def _with_metadata(folder: Path, text: str) -> Path:
    path = write_fake_model(folder / "m.onnx")
    model = onnx.load(path)
    model.metadata_props[0].value = text
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    "text",
    [
        '{"format": ' + "1" * 5000 + "}",
        "[" * 200_000,
        '{"format": ' * 200_000,
        '{"format": true}',
        '{"format": NaN}',
        "\ud83d",
    ],
    ids=["5000 digits", "deep list", "deep dictionary", "true", "NaN", "half a character"],
)
def test_metadata_made_to_break_a_reader_is_one_sentence(tmp_path, text):
    encoded = text if text.isascii() else '{"format": "\\ud83d"}'
    assert "metadata" in refusal(_with_metadata(tmp_path, encoded))


@pytest.mark.parametrize("key", ["input_size", "output_size"])
@pytest.mark.parametrize(
    "size",
    ["[Infinity, 1]", "[NaN, NaN]", "[1e400, 2]", "[30000, 60000]", "[0, 0]", "[-64, -128]",
     "[64]", "[1, 2, 3]", '"64x128"', '["a", "b"]', '{"64": 1, "128": 2}', "null", "[[1], [2]]"],
)  # fmt: skip
def test_sizes_that_are_none_are_refused(tmp_path, key, size):
    path = write_fake_model(tmp_path / "m.onnx")
    text = onnx.load(path).metadata_props[0].value
    sizes = {"input_size": "[64, 128]", "output_size": "[32, 64]"}
    honest = f'"{key}": {sizes[key]}'
    assert honest in text
    message = refusal(_with_metadata(tmp_path, text.replace(honest, f'"{key}": {size}')))
    assert "incomplete 'mtpano' metadata" in message


@pytest.mark.parametrize(
    "name",
    ["x" * 300, "x" * 300 + ".onnx", "x" * 5000 + "/m.onnx", "~nouser/m.onnx", "a\0b.onnx", ""],
    ids=["long name", "long file", "long folder", "no such user", "NUL", "empty"],
)
def test_a_name_that_no_file_can_have_is_one_short_sentence(name):
    with pytest.raises(MtpanoError) as caught:
        find_model(name)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    assert "bundled names" in message


def test_a_folder_that_may_not_be_entered_is_named(monkeypatch):
    stat = Path.stat

    def refuse(path: Path, **named: bool) -> os.stat_result:
        if "closed" in path.parts:
            raise PermissionError(13, "Permission denied")
        return stat(path, **named)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(MtpanoError, match=r"'/closed/m.onnx' cannot be searched for \(Permission"):
        find_model("/closed/m.onnx")


def two_sizes(path, **facts):
    """A model whose depth comes at the picture's size and whose logits come at half of it."""
    import onnx

    write_fake_model(path, (32, 64), metadata=facts)
    model = onnx.load(str(path))
    node = next(node for node in model.graph.node if node.output[0] == "depth")
    factor = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
    model.graph.initializer.append(factor)
    node.CopyFrom(onnx.helper.make_node("Resize", ["low_depth", "", "twice"], ["depth"]))
    shape = model.graph.output[0].type.tensor_type.shape
    shape.dim[2].dim_value, shape.dim[3].dim_value = 32, 64
    onnx.save(model, str(path))
    return path


def test_each_output_may_have_its_own_size(tmp_path):
    path = two_sizes(tmp_path / "m.onnx", output_sizes={"depth": [32, 64]})
    info = read_model_info(path)
    assert info.outputs["depth"].shape == (1, 1, 32, 64)
    assert info.outputs["semseg"].shape == (1, 18, 16, 32)
    assert info.with_gpu_tail().outputs["labels"].shape == (1, 32, 64)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "calls for float32"),
        ({"depth": [16, 64]}, "calls for float32"),
        ({"depth": [0, 64]}, "expected 1 to"),
        ({"height": [32, 64]}, "output_sizes of height"),
        ([32, 64], "no table of tasks"),
        ({"depth": 32}, "no list of height and width"),
    ],
)
def test_sizes_that_are_not_the_graph_s_are_refused(tmp_path, sizes, words):
    with pytest.raises(MtpanoError, match=words):
        read_model_info(two_sizes(tmp_path / "m.onnx", output_sizes=sizes))


def test_a_model_of_two_sizes_runs_with_either_tail(tmp_path):
    import onnx

    from mtpano_model.graph.gpu_tail import join_gpu_tail
    from mtpano_model.inference import load_estimator

    path = two_sizes(tmp_path / "m.onnx", output_sizes={"depth": [32, 64]})
    rgb = np.full((32, 64, 3), 64, np.uint8)
    model = onnx.load(str(path))
    join_gpu_tail(model)
    onnx.save(model, str(tmp_path / "gpu.onnx"))
    for each in (path, tmp_path / "gpu.onnx"):
        with load_estimator(each, "onnxruntime") as estimator:
            frame = estimator.predict(rgb)
        np.testing.assert_allclose(frame.depth, 2.0)
        assert np.unique(frame.labels).size == 1
