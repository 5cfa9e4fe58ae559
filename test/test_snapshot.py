"""The snapshot as a process, fed by publishers that stand in for the node."""

from __future__ import annotations

import json
import signal
import time
import uuid
from array import array

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue  # noqa: E402
from fake_model import write_fake_model  # noqa: E402
from processes import running  # noqa: E402
from sensor_msgs.msg import Image, PointCloud2, PointField  # noqa: E402

from mtpano_ros.tools.snapshot import main  # noqa: E402

SNAPSHOT = "mtpano_ros.tools.snapshot"
TOPICS = ("depth", "normals", "semantic", "points")
HEIGHT, WIDTH = 16, 32


class FakeNode:
    """Publishes one complete set of outputs per call, in a namespace of its own."""

    def __init__(self) -> None:
        self.namespace = f"/n{uuid.uuid4().hex}"
        self.node = rclpy.create_node("fake", namespace=self.namespace)
        create = self.node.create_publisher
        self.publishers = {
            name: create(PointCloud2 if name == "points" else Image, name, 5)
            for name in ("image", *TOPICS)
        }
        self.diagnostics = create(DiagnosticArray, "/diagnostics", 5)

    def wait_for_snapshot(self) -> None:
        """It listens to the image once it is ready for everything."""
        deadline = time.monotonic() + 20
        while self.publishers["image"].get_subscription_count() < 1:
            assert time.monotonic() < deadline, "not within 20 s: the snapshot subscribes"
            time.sleep(0.02)
        time.sleep(0.5)

    def publish(self, number: int, topics=("image", *TOPICS)) -> None:
        rng = np.random.default_rng(number)
        arrays = {
            "image": ("rgb8", rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)),
            "depth": ("32FC1", np.full((HEIGHT, WIDTH), 1.0 + number, np.float32)),
            "normals": ("32FC3", np.full((HEIGHT, WIDTH, 3), (0, 0, -1), np.float32)),
            "semantic": ("mono8", np.full((HEIGHT, WIDTH), number, np.uint8)),
        }
        stamp = self.node.get_clock().now().to_msg()
        for name in topics:
            message = cloud(number) if name == "points" else image(*arrays[name])
            message.header.stamp = stamp
            self.publishers[name].publish(message)
        status = DiagnosticStatus(name="fake: frames", message="fine")
        status.values = [KeyValue(key="processed", value=str(number))]
        array_message = DiagnosticArray(status=[status])
        array_message.header.stamp = self.node.get_clock().now().to_msg()
        self.diagnostics.publish(array_message)


def image(encoding: str, pixels: np.ndarray) -> Image:
    message = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=pixels.nbytes // HEIGHT)
    message.data = array("B", pixels.tobytes())
    return message


def cloud(number: int) -> PointCloud2:
    names = ("x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z", "label")
    points = np.zeros(HEIGHT * WIDTH, [(n, "<u4" if n == "label" else "<f4") for n in names])
    points["x"] = np.arange(len(points))
    points["x"][5] = np.nan
    points["rgb"] = np.array([0x102030], "<u4").view("<f4")[0]
    points["label"] = number
    message = PointCloud2(height=HEIGHT, width=WIDTH, point_step=32, row_step=32 * WIDTH)
    message.fields = [
        PointField(name=name, offset=4 * i, datatype=6 if name == "label" else 7, count=1)
        for i, name in enumerate(names)
    ]
    message.data = array("B", points.tobytes())
    return message


def read_pcd(path) -> tuple[dict[str, str], np.ndarray]:
    """A reader of binary PCD written from the Point Cloud Library's format page."""
    header, _, body = path.read_bytes().partition(b"DATA binary\n")
    lines = [line.split(maxsplit=1) for line in header.decode().splitlines() if line[0] != "#"]
    facts = dict(lines)
    kinds = zip(facts["TYPE"].split(), facts["SIZE"].split(), strict=True)
    dtype = [
        (name, f"<{'f' if kind == 'F' else kind.lower()}{size}")
        for name, (kind, size) in zip(facts["FIELDS"].split(), kinds, strict=True)
    ]
    return facts, np.frombuffer(body, dtype)


@pytest.fixture
def fake():
    rclpy.init()
    node = FakeNode()
    yield node
    node.node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def model(tmp_path):
    return write_fake_model(tmp_path / "fake.onnx")


def test_it_saves_panels_clouds_and_a_summary_and_ends(fake, model, tmp_path):
    out = tmp_path / "out"
    with running(
        SNAPSHOT, "--out", out, "--frames", 4, "--save", 2, "--model", model, "--topics", *TOPICS,
        "--ros-args", "-r", f"__ns:={fake.namespace}",
    ) as process:  # fmt: skip
        fake.wait_for_snapshot()
        for number in range(4):
            fake.publish(number)
            time.sleep(0.05)
        assert process.wait() == 0, process.output

    for number in (0, 1):
        panel = cv2.imread(str(out / f"panel_{number:03d}.png"))
        assert panel is not None
        assert panel.std() > 10
        facts, points = read_pcd(out / f"cloud_{number:03d}.pcd")
        assert (facts["WIDTH"], facts["HEIGHT"]) == (str(WIDTH), str(HEIGHT))
        assert points["x"][4] == 4
        assert np.isnan(points["x"][5])
        assert (points["rgb"].view("<u4") == 0x102030).all()
        assert (points["label"] == number).all()
    assert not (out / "panel_002.png").exists()

    summary = json.loads((out / "summary.json").read_text())
    assert summary["received"] == {"image": 4, **dict.fromkeys(TOPICS, 4)}
    assert (summary["complete"], summary["incomplete"]) == (4, 0)
    assert 0 < summary["latency_ms"]["end_to_end"]["median"] < 5000
    assert summary["diagnostics"]["fake: frames"]["processed"] == "3"


def test_a_stream_that_stops_short_is_saved_and_counted_as_it_came(fake, model, tmp_path):
    with running(
        SNAPSHOT, "--out", tmp_path, "--frames", 9, "--idle", 1, "--model", model,
        "--topics", *TOPICS, "--ros-args", "-r", f"__ns:={fake.namespace}",
    ) as process:  # fmt: skip
        fake.wait_for_snapshot()
        fake.publish(0)
        fake.publish(1, topics=("image", "depth"))
        assert process.wait() == 0, process.output
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["complete"] == 1
    assert summary["received"]["depth"] == 2
    assert (tmp_path / "panel_000.png").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("frames", [0, 5])
def test_a_signal_ends_it_quietly_and_its_status_says_what_that_cut_short(
    model, tmp_path, number, frames
):
    """0 goes on until a signal; of five frames none has come."""
    with running(
        SNAPSHOT, "--model", model, "--out", tmp_path / "out", "--frames", frames
    ) as process:
        process.wait_for("waiting for the publishers")
        process.assert_ends_cleanly(number, status=128 + number if frames else 0)
    assert "wrote 0 sets" in process.output


@pytest.mark.parametrize(
    ("state", "level", "told"),
    [
        ("unconfigured", DiagnosticStatus.ERROR, True),
        ("inactive", DiagnosticStatus.ERROR, True),
        ("unconfigured", DiagnosticStatus.OK, False),  # nobody has configured it yet
        ("configuring", DiagnosticStatus.OK, False),
    ],
)
def test_a_node_that_cannot_start_is_not_waited_for(fake, model, tmp_path, state, level, told):
    arguments = ["--model", model, "--out", tmp_path, "--timeout", 30 if told else 2]
    if state == "inactive":  # its publishers are there
        arguments += ["--topics", "normals"]
    status = DiagnosticStatus(name=f"{fake.namespace}/pano_node: engine", level=level)
    status.message = "engine 'tensorrt' is not installed"
    status.values = [KeyValue(key="state", value=state)]
    theirs = DiagnosticStatus(name="/other/pano_node: engine", level=DiagnosticStatus.ERROR)
    theirs.values = [KeyValue(key="state", value="unconfigured")]
    with running(
        SNAPSHOT, *arguments, "--ros-args", "-r", f"__ns:={fake.namespace}"
    ) as process:  # fmt: skip
        while process.popen.poll() is None:
            fake.diagnostics.publish(DiagnosticArray(status=[theirs, status]))
            time.sleep(0.1)
        assert process.wait() == 1
    said = f"{fake.namespace}/pano_node cannot start: engine 'tensorrt' is not installed"
    assert (said in process.output) == told
    assert ("nobody publishes" in process.output) != told


def test_mistakes_are_one_sentence_and_status_1(model, tmp_path, capsys):
    for wrong, expected in {
        ("--model", "/no/model.onnx"): "/no/model.onnx does not exist",
        ("--model", str(model), "--timeout", "0.3"): "nobody publishes /camera_info, /depth",
        ("--model", str(model), "--topics", "colours"): "--topics colours: expected some of",
        ("--model", str(model), "--frames", "-1"): "--frames -1: expected 0 or more",
        ("--model", str(model), "--timeout", "nan"): "--timeout nan: expected seconds, 0 or more",
        ("--model", str(model), "--idle", "nan"): "--idle nan: expected seconds, 0 or more",
    }.items():
        assert main([*wrong, "--out", str(tmp_path / "out")]) == 1
        error = capsys.readouterr().err
        assert expected in error
        assert "Traceback" not in error
