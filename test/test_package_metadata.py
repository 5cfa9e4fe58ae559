"""package.xml and setup.cfg say the same, in forms that ROS's own tools accept."""

from __future__ import annotations

from pathlib import Path

import pytest

import mtpano_model

ROOT = Path(__file__).parents[1]
catkin_package = pytest.importorskip("catkin_pkg.package", reason="catkin-pkg is not installed")


@pytest.fixture(scope="module")
def manifest():
    """package.xml as ROS's tools read it; an invalid one raises here."""
    warnings: list[str] = []
    package = catkin_package.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    assert warnings == []
    return package


def test_manifest_is_a_valid_ament_python_package(manifest):
    manifest.validate()
    assert manifest.package_format == 3
    assert manifest.name == "mtpano_ros"
    assert manifest.get_build_type() == "ament_python"
    assert manifest.licenses[0].file == "LICENSE"
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")


def test_version_is_the_one_of_the_code(manifest):
    assert manifest.version == mtpano_model.__version__
    assert f"## {manifest.version}" in (ROOT / "CHANGELOG.md").read_text()


def test_manifest_names_what_rosdep_must_bring(manifest):
    # Which packages of ROS it names: test_package_dependencies.
    run = {depend.name for depend in manifest.exec_depends}
    test = {depend.name for depend in manifest.test_depends}
    assert run >= {"python3-numpy", "python3-opencv", "python3-yaml"}
    assert "python3-pytest" in test


def test_manifest_names_no_key_that_rosdep_lacks(manifest):
    # One unknown key makes `rosdep install` refuse the whole workspace.
    named = {depend.name for depend in manifest.exec_depends + manifest.test_depends}
    assert not named & {"tensorrt", "onnx", "onnxruntime", "openvino", "safetensors", "torch"}
