"""What ROS 2 refuses at the start is one line and a status, in every executable."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from processes import ROOT, running

from mtpano_ros.process.initialise import CANNOT_START, split_ros_args

PLAYER = ("player", "--frames", "1")
ARGUMENTS = {
    ("-r", "__ns:=/robot-1"): "__ns:=/robot-1",
    ("-r", "__ns:=/robot.1"): "__ns:=/robot.1",
    ("-r", "image:=/front camera"): "image:=/front camera",
    ("-r", "__node:=a.b"): "__node:=a.b",
    ("-r", "__ns:=/robot/"): "invalid node namespace: ",
    ("-r", "__ns:=//robot"): "__ns:=//robot",
    ("-r", f"__ns:=/{'a' * 300}"): "invalid node namespace: ",
    ("--params-file", "/nope.yaml"): "/nope.yaml",
    ("--params-file", "~/nope.yaml"): "a shell expands ~, rcl does not",
    ("--params-file", "/tmp"): "is a folder: expected a regular file",
    ("--nonsense",): "ROS arguments ['--nonsense'] are not known",
    ("-p", b"outputs.frame_id:=caf\xe9"): "is not UTF-8",
    ("--log-level", "loud"): "--log-level loud",
    ("-p", "max_range=5"): "expected -p NAME:=VALUE",
}
SETTINGS = [
    ("player", "--timeout", "nan"),
    ("player", "--timeout", "-1"),
    ("player", "--size", "99999x199998"),
    ("player", "--topic", "/image"),
    ("snapshot", "--timeout", "nan"),
    ("snapshot", "--idle", "-1"),
    ("demo", "--timeout", "nan"),
    ("demo", "--timeout", "0"),
    ("demo", "--rate", "inf"),
    ("demo", "--backend", "nope"),
]
DOMAINS = ["abc", "-1", "400", "1.5", " 5", "\u00b2"]


def assert_refused(arguments, expected, status, **environment):
    with running(
        "mtpano_ros.start", *arguments, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}
    ) as process:
        assert process.wait(60) == status, process.output
    ours = [line for line in process.output.splitlines() if line.startswith("error: ")]
    assert len(ours) == 1, process.output
    assert expected in ours[0]
    assert "Traceback" not in process.output
    assert ".c:" not in ours[0]


def shown(words):
    return " ".join(str(word)[:30] for word in words)


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=shown)
def test_a_wrong_argument_of_the_node_is_one_line(arguments):
    words = ("node", "--ros-args", *arguments)
    assert_refused(words, ARGUMENTS[arguments], CANNOT_START)


def test_a_keystore_that_is_not_there_is_one_line():
    security = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}
    assert_refused(("node",), "ROS_SECURITY_", CANNOT_START, **security)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_parameter_file_that_never_ends_is_one_line(make, tmp_path):
    file = tmp_path / "a.yaml"
    make(file)
    words = ("node", "--ros-args", "--params-file", file)
    assert_refused(words, f"{file} is a pipe or a device", CANNOT_START)


def test_a_parameter_file_from_the_shell_is_read(tmp_path):
    """And read once: a second look would find it empty, and say so."""
    text = "/**: {ros__parameters: {max_range: -1.0}}"
    words = (
        f"exec {sys.executable} -m mtpano_ros.start node --ros-args --params-file <(echo '{text}')"
    )
    with subprocess.Popen(
        ["bash", "-c", words], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "pano_node" in line)
        process.terminate()
    assert "parameter max_range is -1.0" in line


@pytest.mark.parametrize("words", [(), ("nope",)], ids=["none", "nope"])
def test_an_executable_that_is_not_known_is_one_line(words):
    assert_refused(words, "expected node, demo, lenses, player, snapshot", 1)


def test_who_has_read_enough_of_the_help_gets_no_complaint():
    words = f"{sys.executable} -m mtpano_ros.start player --help | head -1"
    done = subprocess.run(["bash", "-c", words], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


@pytest.mark.parametrize("executable", [PLAYER, ("snapshot",)], ids=lambda words: words[0])
def test_a_wrong_argument_of_a_tool_is_one_line(executable):
    assert_refused((*executable, "--ros-args", "-r", "__ns:=/robot-1"), "__ns:=/robot-1", 1)


@pytest.mark.parametrize("words", SETTINGS, ids=" ".join)
def test_a_wrong_setting_of_a_tool_is_one_line(words):
    said = {"--topic": "is no rosbag2", "--size": "is too large"}
    expected = said.get(words[1], f"{words[1]} {words[2]}")
    assert_refused(words, expected, 1)


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_waited_for(tmp_path):
    (tmp_path / "out").touch()
    assert_refused(("snapshot", "--out", tmp_path / "out"), "cannot be used", 1)


def test_parameters_of_a_tool_are_not_lost_without_a_word():
    with running("mtpano_ros.start", *PLAYER, "--ros-args", "-p", "rate:=10.0") as process:
        assert process.wait(60) == 0
    assert "parameter 'rate' is not used: player takes arguments" in process.output


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_wrong_domain_is_one_line(domain):
    said = f"ROS_DOMAIN_ID={domain} is no domain"
    assert_refused(("node",), said, CANNOT_START, ROS_DOMAIN_ID=domain)


def test_a_wrong_domain_of_the_demo_is_one_line(tmp_path):
    words = ("demo", "--out", tmp_path)
    assert_refused(words, "MTPANO_DOMAIN_ID=abc is no domain", 1, MTPANO_DOMAIN_ID="abc")


@pytest.mark.parametrize(
    "text",
    ["{a: [", "/**:\n  max_range: 5.0\n", "/**:\n  ros__parameters:\n    a: [1, b]\n"],
    ids=["no YAML", "no ros__parameters", "mixed list"],
)
def test_an_unreadable_parameter_file_is_one_line(tmp_path, text):
    file = tmp_path / "robot.yaml"
    file.write_text(text)
    assert_refused(("node", "--ros-args", "--params-file", file), str(file), CANNOT_START)


@pytest.mark.parametrize(
    "words",
    [("--params-file", "a.yaml"), ("--nonsense",), ("-p", "max_range:=5"), ("max_range:=5",)],
    ids=" ".join,
)
def test_forgotten_ros_args_are_named(words):
    assert_refused(("node", *words), f"'{words[0]}' is not known: put --ros-args", CANNOT_START)


def test_a_report_that_cannot_be_written_is_one_line(tmp_path):
    report = tmp_path / "nowhere" / "report.json"
    assert_refused((*PLAYER, "--report", report), f"'{report}' cannot be used", 1)


@pytest.mark.parametrize("folder", [None, "/proc/x", ""], ids=["no HOME", "closed", "a file"])
def test_a_node_that_cannot_write_its_log_file_runs_and_says_so(tmp_path, folder):
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "ROS_LOG_DIR")}
    if folder is not None:
        (tmp_path / "file").touch()
        environment |= {"HOME": str(tmp_path), "ROS_LOG_DIR": folder or str(tmp_path / "file")}
    with running(
        "mtpano_ros.start", "node", "--ros-args", "-p", "autostart:=false", env=environment
    ) as process:
        process.wait_for("ROS_LOG_DIR")
        assert "Traceback" not in process.output
        process.popen.terminate()
        assert process.wait(30) == 0


def test_log_files_are_named_after_the_executable(tmp_path):
    environment = {**os.environ, "ROS_LOG_DIR": str(tmp_path)}
    with running("mtpano_ros.start", *PLAYER, env=environment) as process:
        assert process.wait(60) == 0, process.output
    (log,) = tmp_path.iterdir()
    assert log.name.startswith("player_")


def test_ros_arguments_end_at_two_dashes():
    words = ["a", "--ros-args", "-p", "x:=1", "--", "b"]
    assert split_ros_args(words) == (["a", "b"], ["--ros-args", "-p", "x:=1", "--"])
