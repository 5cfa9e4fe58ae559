"""./run makes its environment once, again when its inputs change, and fits it to the ROS 2 found.

A stand-in for Python records what it is asked for, so nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mtpano_model.commands import COMMANDS

ROOT = Path(__file__).parents[1]
STAND_IN = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    *_base_executable*) echo "$0" ;;
    -V) echo "Python ${VERSION:-3.12.1}" ;;
    *"import rclpy"*) [[ -n ${HAS_RCLPY:-} ]] ;;
    *"import numpy"*) echo "numpy<2" ;;
    "-m venv"*) for venv; do :; done; mkdir -p "$venv/bin"; cp "$0" "$venv/bin/python" ;;
    *"-m pip"*) [[ -z ${PIP_FAILS:-} ]] ;;
esac
"""

AGAIN = "--reruns 2 -raR --only-rerun not within [0-9.]+ s"  # who waited in vain for DDS


class Checkout:
    """A copy of the script and of what it reads, with a recording Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        for name in ("run", "setup.py", "setup.cfg", "constraints.txt"):
            shutil.copy(ROOT / name, folder / name)
        self.python = folder / "stand-in"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)

    def run(self, *arguments: str, **more: str) -> tuple[int, list[str], str]:
        """Exit status, what Python was asked for, and what was said."""
        self.calls.write_text("")
        environment = {
            "PATH": os.environ["PATH"], "PYTHON": str(self.python), "CALLS": str(self.calls), **more
        }  # fmt: skip
        done = subprocess.run(
            [self.folder / "run", *arguments],
            env=environment, cwd=self.folder.parent, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        return done.returncode, self.calls.read_text().splitlines(), done.stdout + done.stderr

    def installs(self, *arguments: str, **more: str) -> list[str]:
        """The pip calls of one run."""
        return [call for call in self.run(*arguments, **more)[1] if "-m pip" in call]


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    folder = tmp_path / "checkout"
    folder.mkdir()
    return Checkout(folder)


def test_help_names_every_task():
    done = subprocess.run([ROOT / "run", "help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    for task in ("demo", "test", "lint", "bench", "mtpano"):
        assert f"./run {task}" in done.stdout


def test_unknown_task_is_refused(checkout):
    status, calls, said = checkout.run("fly")
    assert status != 0
    assert calls == []
    assert "fly" in said


def test_demo_passes_its_options_on_and_needs_no_torch(checkout):
    status, calls, _ = checkout.run("demo", "--out", "my dir")
    assert status == 0
    assert calls[-1] == "-m mtpano_ros.start demo --out my dir"
    (install,) = [call for call in calls if "-m pip" in call]
    assert install.endswith("[cpu,bags,ros]")


def test_environment_is_reused_until_an_input_changes(checkout):
    assert len(checkout.installs("demo")) == 1
    assert checkout.installs("demo") == []
    with (checkout.folder / "constraints.txt").open("a") as pins:
        pins.write("# a newer release\n")
    assert len(checkout.installs("demo")) == 1


def test_training_half_is_added_on_first_use_and_covers_the_robots(checkout):
    assert checkout.installs("demo")[0].endswith("[cpu,bags,ros]")
    assert checkout.installs("test")[0].endswith("[cpu,bags,ros,speed,video,train,test]")
    assert checkout.installs("mtpano", "doctor") == []
    assert checkout.installs("demo") == []


def test_commands_without_torch_need_the_robots_half_only(checkout):
    for name, (_, _, extra) in COMMANDS.items():
        if extra != "train":
            checkout.run("mtpano", name)
    checkout.run("mtpano", "--help")
    assert (checkout.folder / ".venv" / ".robot").is_file()
    assert not (checkout.folder / ".venv" / ".training").exists()
    assert checkout.installs("mtpano", "train")[0].endswith("train,test]")


def test_failed_installation_is_tried_again(checkout):
    status, calls, _ = checkout.run("demo", PIP_FAILS="1")
    assert status != 0
    assert "-m mtpano_ros.start demo" not in calls[-1]
    assert len(checkout.installs("demo")) == 1


def test_sourced_ros_is_used_with_the_numpy_it_was_built_for(checkout):
    sourced = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy", "ROS_DISTRO": "jazzy", "HAS_RCLPY": "1"}
    status, calls, _ = checkout.run("demo", **sourced)
    assert status == 0
    assert any("venv" in call and "--system-site-packages" in call for call in calls)
    (install,) = [call for call in calls if "-m pip" in call]
    assert install.endswith("[cpu,bags]")
    pins = install.split("-c ")[1].split()[0]
    assert "numpy<2" in Path(pins).read_text().splitlines()


def test_sourced_ros_gets_the_pytest_that_its_plugins_fit(checkout):
    sourced = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy", "ROS_DISTRO": "jazzy", "HAS_RCLPY": "1"}
    _, calls, _ = checkout.run("test", "-k", "x", **sourced)
    assert calls[-1] == f"-m pytest -p no:launch_testing -p no:launch_ros {AGAIN} -k x"
    (install,) = [call for call in calls if "-m pip" in call]
    pins = Path(install.split("-c ")[1].split()[0]).read_text().splitlines()
    assert pins == ["numpy<2", "pytest<8.4"]


def test_jazzy_comes_from_wheels_into_an_environment_of_its_own(checkout):
    status, calls, _ = checkout.run("demo", ROS_WHEELS="jazzy")
    assert status == 0
    (install,) = [call for call in calls if "-m pip" in call]
    assert install.endswith("[cpu,bags,ros-jazzy]")
    assert (checkout.folder / ".venv-jazzy" / "bin" / "python").is_file()
    assert not (checkout.folder / ".venv").exists()


def test_jazzy_s_tests_need_no_torch_and_can_be_chosen(checkout):
    _, calls, _ = checkout.run("test", ROS_WHEELS="jazzy")
    assert "test_end_to_end.py" in calls[-1]
    (install,) = [call for call in calls if "-m pip" in call]
    assert install.endswith("[cpu,bags,ros-jazzy,robot-test]")
    _, calls, _ = checkout.run("test", "test/test_demo.py", ROS_WHEELS="jazzy")
    assert calls[-1] == f"-m pytest {AGAIN} test/test_demo.py"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ROS_WHEELS": "humble"}, "ROS_WHEELS=humble: expected jazzy or kilted"),
        ({"ROS_WHEELS": "jazzy", "VERSION": "3.11.7"}, "no Python 3.12 found"),
    ],
)
def test_wheels_that_there_are_not_are_refused(checkout, tmp_path, more, words):
    for tool in ("bash", "cat", "dirname", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    status, calls, said = checkout.run("demo", PATH=str(tmp_path), HOME=str(tmp_path), **more)
    assert status != 0
    assert words in said
    assert not any("-m pip" in call for call in calls)


def test_another_ros_starts_the_environment_anew(checkout):
    checkout.run("demo")
    sourced = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy", "ROS_DISTRO": "jazzy", "HAS_RCLPY": "1"}
    _, calls, said = checkout.run("demo", **sourced)
    assert any("-m venv --clear" in call for call in calls)
    assert "jazzy" in said


def test_without_a_python_it_says_what_to_do(checkout, tmp_path):
    for tool in ("bash", "cat", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    status, _, said = checkout.run("demo", PATH=str(tmp_path), PYTHON="/no/such/python")
    assert status != 0
    assert "Python >= 3.10" in said
