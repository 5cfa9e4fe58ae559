"""The benchmark's own arithmetic, and that it would notice wrong content."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from benchmarks import gpu_table
from benchmarks.content import SAMPLE, check
from benchmarks.measure import cpu_seconds, published_bytes
from benchmarks.report import throughput_chart
from benchmarks.roofline import DEVICES, Cost, Device, graph_costs, milliseconds
from benchmarks.scenario import outcome
from benchmarks.steady import Growth
from benchmarks.stub_node import StubEngine
from mtpano_model.geometry.sphere import rays
from mtpano_model.graph.model_info import find_model, read_model_info
from mtpano_model.inference.engines import check_outputs
from mtpano_model.inference.frame import FIELDS
from mtpano_model.inference.postprocess import Postprocessor

HEIGHT, WIDTH = 64, 128


def test_flops_and_traffic_of_a_small_graph_are_those_counted_by_hand():
    weight = np.zeros((8, 4, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Reshape", ["z", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6, 5])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [8, 7])],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.zeros((30, 7), np.float32), "m"),
            numpy_helper.from_array(np.array([8, 30], np.int64), "shape"),
        ],
    )
    conv, relu, matmul = graph_costs(helper.make_model(graph))
    assert conv == Cost(flops=2 * 4 * 9 * 8 * 30, values=4 * 30 + weight.size + 8 * 30)
    assert relu == Cost(flops=240, values=480)
    assert matmul == Cost(flops=2 * 30 * 8 * 7, values=240 + 210 + 56)


def test_the_roofline_takes_the_slower_of_arithmetic_and_traffic_node_by_node():
    device = Device("half a machine", tera_flops=0.001, gigabytes_per_second=0.002)
    # 1e6 operations take 1 ms, 1e3 fp16 values take 1 ms.
    costs = [Cost(flops=2e6, values=1e3), Cost(flops=1e6, values=5e3)]
    assert milliseconds(costs, device) == pytest.approx(2 + 5)


@pytest.mark.slow
def test_the_page_of_gpus_says_what_it_is_and_arithmetic_grows_with_the_pixels() -> None:
    small, large = (gpu_table.row("nano", size) for size in ((64, 128), (128, 256)))
    assert 3.5 < large[2] / small[2] < 4.5
    text = gpu_table.page([small, large])
    assert "computed, not measured" in text
    assert all(device.name in text for device in DEVICES)


def test_the_stub_gives_all_that_the_default_model_promises() -> None:
    info = read_model_info(find_model("default"))
    outputs = StubEngine(info.path).infer(np.zeros((1, *info.input_size, 3), np.uint8))
    check_outputs(outputs, info.outputs)
    frame = Postprocessor(info)(outputs, (64, 128), wanted=(*FIELDS, "confidence"))
    assert frame.non_finite == 0
    np.testing.assert_allclose(frame.depth, 2.5, rtol=1e-6)
    assert (frame.extras["confidence"] == 1).all()


def outputs(depth: float, label: int):
    """A complete set of messages as the node sends them."""
    depths = np.full((HEIGHT, WIDTH), depth, np.float32)
    labels = np.full((HEIGHT, WIDTH), label, np.uint8)
    fields = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("label", "<u4")]
    points = np.zeros((HEIGHT, WIDTH), fields)
    for axis, name in enumerate("xyz"):
        points[name] = rays(HEIGHT, WIDTH)[..., axis] * depth
    points["label"] = label
    codes = {"<f4": 7, "<u4": 6}
    cloud = SimpleNamespace(
        fields=[
            SimpleNamespace(name=name, offset=4 * i, datatype=codes[kind])
            for i, (name, kind) in enumerate(fields)
        ],
        height=HEIGHT, width=WIDTH, point_step=16, row_step=16 * WIDTH, is_bigendian=False,
        data=points.tobytes(),
    )  # fmt: skip
    return {
        "depth": image("32FC1", depths),
        "normals": image("32FC3", -rays(HEIGHT, WIDTH)),
        "semantic": image("mono8", labels),
        "points": cloud,
    }


def image(encoding: str, pixels: np.ndarray):
    return SimpleNamespace(
        encoding=encoding, height=HEIGHT, width=WIDTH, step=pixels.nbytes // HEIGHT,
        is_bigendian=0, data=np.ascontiguousarray(pixels).tobytes(),
    )  # fmt: skip


def test_wrong_content_is_noticed():
    shape = (2, HEIGHT // SAMPLE, WIDTH // SAMPLE)
    depths = np.full(shape, 2.0, np.float32)
    depths[1] = 4.0
    labels = np.full(shape, 3, np.uint8)
    assert check(outputs(2.0, 3), depths, labels) == ""
    assert check(outputs(4.0, 3), depths, labels) == ""
    assert "depth off by" in check(outputs(3.0, 3), depths, labels)
    assert "labels agree on 0%" in check(outputs(2.0, 5), depths, labels)
    broken = outputs(2.0, 3)
    broken["points"].data = outputs(2.5, 3)["points"].data
    assert "ranges are not the depth" in check(broken, depths, labels)
    for columns, words in ((1, ""), (WIDTH // 2, "the cloud lacks 50%")):  # by the edge filter
        broken = outputs(2.0, 3)
        cloud = np.frombuffer(broken["points"].data, np.float32).reshape(HEIGHT, WIDTH, 4).copy()
        cloud[0 if columns == 1 else slice(None), :columns, :3] = np.nan
        broken["points"].data = cloud.tobytes()
        found = check(broken, depths, labels)
        assert found.startswith(words)
        assert bool(found) == bool(words)
    broken = outputs(2.0, 3)
    broken["normals"] = image("32FC3", np.zeros((HEIGHT, WIDTH, 3), np.float32))
    assert "unit length" in check(broken, depths, labels)
    assert "samples, expected" in check(outputs(2.0, 3), depths[:, :2], labels)


def test_rate_latency_and_cpu_time_come_from_stamps_and_arrivals():
    second = 10**9
    results = [
        {
            "stamps": [0, second, 2 * second],
            "arrivals": [second // 10, second + second // 10, 3 * second],
            "complete": 3,
            "wrong_count": 1,
            "diagnostics": {},
        }
    ] * 2
    found = outcome(sent=4, cpu=0.6, results=results)
    assert found.per_second == pytest.approx(3 / 3)
    assert found.latency_ms == pytest.approx(100)
    assert found.cpu_ms == pytest.approx(200)
    assert found.wrong == 2


def test_growth_compares_the_end_with_what_was_there_after_frame_500():
    frames = list(range(0, 2000, 10))
    flat = Growth(frames, [n if n < 500 else 10_000 for n in frames])
    assert flat.ratio == 0
    leaking = Growth(frames, [10_000 + n for n in frames])
    # From about frame 545 to about 1945, of about 10,545 bytes.
    assert leaking.ratio == pytest.approx(1400 / 10_545, rel=0.01)
    assert np.isnan(Growth(frames[:40], [1] * 40).ratio)
    assert json.dumps(leaking.facts())


def test_the_chart_has_a_bar_for_each_configuration_and_node():
    rows = [
        {"camera": "small", "cloud": True, "node": "ours", "per_second": 20.0},
        {"camera": "small", "cloud": True, "node": "naive", "per_second": 4.0},
        {"camera": "large", "cloud": False, "node": "ours", "per_second": 10.0},
        {"camera": "large", "cloud": False, "node": "naive", "per_second": None},
    ]
    axes = throughput_chart(rows).axes[0]
    assert [name.get_text() for name in axes.get_yticklabels()] == [
        "small, cloud on",
        "large, cloud off",
    ]
    ours, naive = axes.containers
    assert [bar.get_width() for bar in ours] == [20.0, 10.0]
    assert [bar.get_width() for bar in naive] == [4.0]
    assert ours[0].get_y() < naive[0].get_y() < ours[1].get_y()  # ours above naive
    assert axes.yaxis_inverted()


def test_published_bytes_are_those_of_the_messages():
    assert sum(published_bytes((512, 1024), cloud=True)) == 512 * 1024 * (4 + 12 + 1 + 32)
    assert len(published_bytes((512, 1024), cloud=False)) == 3


def test_cpu_time_of_a_process_grows_while_it_works():
    before = cpu_seconds(os.getpid())
    total = 0
    while cpu_seconds(os.getpid()) == before and total < 10**8:
        total += 1
    assert cpu_seconds(os.getpid()) > before
