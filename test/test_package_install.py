"""One colcon build, with and without symlinks, gives ROS two packages and their executables."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mtpano_model.commands import COMMANDS

ROOT = Path(__file__).parents[1]
COLCON = shutil.which("colcon", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
NODES = {"pano_node", "player", "snapshot", "mtpano"}

pytestmark = pytest.mark.skipif(COLCON is None, reason="colcon is not installed")


@pytest.fixture(scope="module", params=["copies", "symlinks"])
def prefix(request, tmp_path_factory) -> Path:
    """Install prefix of the package."""
    folder = tmp_path_factory.mktemp(request.param)
    command = [
        COLCON, "--log-base", folder / "log", "build", "--paths", ROOT,
        "--build-base", folder / "build", "--install-base", folder / "install",
    ]  # fmt: skip
    if request.param == "symlinks":
        command.append("--symlink-install")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "install" / "mtpano_ros"


def executables(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.stat().st_mode & stat.S_IXUSR}


def files(folder: Path) -> set[str]:
    """What a package consists of, compiled modules left out."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if "__pycache__" not in path.parts}


def environment(prefix: Path, **more: str) -> dict[str, str]:
    """As after `source install/setup.bash`, as far as Python is concerned."""
    build = prefix.parents[1] / "build" / "mtpano_ros"
    paths = [*prefix.glob("lib/python3*/site-packages"), build]
    kept = {k: v for k, v in os.environ.items() if k not in ("MTPANO_PYTHON", "VIRTUAL_ENV")}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, paths)), **more}


def test_both_packages_are_in_the_ament_index(prefix):
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    assert {path.name for path in index.iterdir()} == {"mtpano_ros", "mtpano_model"}
    assert (prefix / "share" / "mtpano_ros" / "package.xml").is_file()


def test_executables_are_where_ros2_run_looks(prefix):
    assert executables(prefix / "lib" / "mtpano_ros") == NODES
    commands = {name.replace("-", "_") for name in COMMANDS}
    assert executables(prefix / "lib" / "mtpano_model") == commands


def test_launch_files_and_their_material_are_shared(prefix):
    share = prefix / "share" / "mtpano_ros"
    for name in ("launch/pano.launch.py", "launch/demo.launch.py", "config/pano.yaml",
                 "config/fastdds.xml", "rviz/pano.rviz"):  # fmt: skip
        assert (share / name).is_file(), name


def test_code_comes_with_every_file_it_reads(prefix):
    where = (
        "import mtpano_model, mtpano_ros; print(mtpano_model.__path__[0], mtpano_ros.__path__[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", where],
        cwd=prefix, env=environment(prefix), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    for name, folder in zip(("mtpano_model", "mtpano_ros"), done.stdout.split(), strict=True):
        source, installed = files(ROOT / name), files(Path(folder))
        assert str(prefix.parents[1]) in folder
        assert source - installed == set()


def test_every_executable_runs_in_the_users_python(prefix, tmp_path):
    # Not the Python that built the package: what colcon itself generates runs in that one.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\n')
    python.chmod(0o755)
    for command in sorted(prefix.glob("lib/mtpano_*/*")):
        (tmp_path / "asked").unlink(missing_ok=True)
        subprocess.run(
            [command, "--help"],
            env=environment(prefix, MTPANO_PYTHON=str(python)), capture_output=True, timeout=60,
        )  # fmt: skip
        assert (tmp_path / "asked").exists(), command
        assert (tmp_path / "asked").read_text().endswith(" --help\n")


@pytest.mark.parametrize(
    ("command", "words"), [("mtpano_model/predict", ()), ("mtpano_ros/mtpano", ("predict",))]
)
def test_a_command_runs_in_the_users_python(prefix, command, words):
    predict = prefix / "lib" / command
    done = subprocess.run(
        [predict, *words, "--help"],
        cwd=prefix, env=environment(prefix, MTPANO_PYTHON=sys.executable),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--backend" in done.stdout


@pytest.mark.parametrize("command", ["mtpano_model/train", "mtpano_ros/player"])
def test_a_bare_python_is_told_what_to_install(prefix, tmp_path, command):
    # What `ros2 run` meets first: a Python that has none of the libraries.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    done = subprocess.run(
        [prefix / "lib" / command],
        cwd=prefix, env=environment(prefix, VIRTUAL_ENV=str(tmp_path)),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "pip install" in done.stderr


def test_a_wrong_python_is_named(prefix):
    done = subprocess.run(
        [prefix / "lib" / "mtpano_model" / "train"],
        env=environment(prefix, MTPANO_PYTHON="/no/such/python"),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "/no/such/python" in done.stderr
    assert "MTPANO_PYTHON" in done.stderr
