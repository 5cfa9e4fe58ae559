"""The doctor's checks of ROS 2: installation, shared memory, profile, discovery."""

from __future__ import annotations

import importlib.machinery
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doctor_text import text

from mtpano_ros.doctor import ros, transport


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- ROS -----------------------------------------------------------------------------------------


def pretend_modules(monkeypatch: pytest.MonkeyPatch, **origins: str | None) -> None:
    def find(name: str) -> Any:
        origin = origins.get(name)
        return None if origin is None else importlib.machinery.ModuleSpec(name, None, origin=origin)

    monkeypatch.setattr(ros, "find_spec", find)


HUMBLE = "/opt/ros/humble/local/lib/python3.10/dist-packages/{}/__init__.py"


def test_a_sourced_humble(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("rclpy", *ros.NEEDED, *ros.OPTIONAL)
    pretend_modules(monkeypatch, **{name: HUMBLE.format(name) for name in names})
    environment = {"ROS_DISTRO": "humble", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    findings = ros.check(environment)
    assert {finding.level for finding in findings} == {"ok"}
    assert "ROS 2 humble, rclpy in /opt/ros/humble" in text(findings, "ok")
    assert "middleware rmw_cyclonedds_cpp (chosen)" in text(findings, "ok")


def test_a_virtual_environment_that_does_not_see_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_modules(monkeypatch)
    assert "--system-site-packages" in text(ros.check({"ROS_DISTRO": "jazzy"}), "fix")
    assert "only the node needs it" in text(ros.check({}), "note")


def test_wheels_over_a_sourced_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_modules(monkeypatch, rclpy="/venv/lib/python3.11/site-packages/rclpy/__init__.py")
    findings = ros.check({"ROS_DISTRO": "jazzy"})
    assert "jazzy is sourced but rclpy comes from wheels" in text(findings, "fix")
    assert "cannot import sensor_msgs" in text(findings, "fix")
    assert "ros-$ROS_DISTRO-sensor-msgs" in text(findings, "fix")
    assert "vision_msgs" in text(findings, "note")


# --- transport -----------------------------------------------------------------------------------


def shared_memory(monkeypatch: pytest.MonkeyPatch, total: int, free: int) -> None:
    """/dev/shm of `total` MiB, `free` of them free."""
    facts = SimpleNamespace(f_frsize=1 << 20, f_blocks=total, f_bavail=free)
    monkeypatch.setattr(os, "statvfs", lambda path: facts)


@pytest.mark.parametrize(
    ("total", "free", "level", "words"),
    [
        (64, 64, "fix", "64 MiB, 64 free; three processes .* need 192: .*--shm-size=512m"),
        (512, 100, "fix", "need 192: stop all nodes"),
        (512, 500, "ok", "room for 7 processes"),
    ],
)
def test_shared_memory(
    monkeypatch: pytest.MonkeyPatch, total: int, free: int, level: str, words: str
) -> None:
    shared_memory(monkeypatch, total, free)
    assert re.search(words, text(transport.check({}), level))


@pytest.mark.parametrize(
    ("environment", "total", "words"),
    [
        ({}, 512, ""),
        ({}, 64, "three processes with panoramas need 192: .*--shm-size=512m"),
        ({transport.BUILTIN_VARIABLE: "UDPv4"}, 64, "over UDP, .*: /dev/shm has 64 MiB"),
        ({transport.BUILTIN_VARIABLE: "UDPv4"}, 512, "over UDP, .*: /dev/shm had no room at the"),
        ({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, 64, ""),
    ],
)
def test_a_transport_that_loses_large_messages_is_known(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], total: int, words: str
) -> None:
    shared_memory(monkeypatch, total, 0)
    said = transport.lossy_transport(environment)
    assert bool(said) == bool(words)
    assert re.search(words, said)


def test_no_shared_memory_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transport, "SHARED_MEMORY", tmp_path / "absent")
    assert "mount a tmpfs" in text(transport.check({}), "fix")


def test_the_shipped_profile_is_known_and_offered(tmp_path: Path) -> None:
    offered = text(transport.check({}), "note")
    shipped = Path(__file__).parents[1] / "mtpano_ros" / "fastdds.xml"
    assert f"FASTDDS_DEFAULT_PROFILES_FILE={shipped}" in offered
    for variable in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        findings = transport.check({variable: str(shipped)})
        assert f"{shipped}, segments of 64 MiB" in text(findings, "ok")
    own = tmp_path / "own.xml"
    own.write_text("<dds/>")
    findings = transport.check({"FASTDDS_DEFAULT_PROFILES_FILE": str(own)})
    assert "give it segments of 64 MiB" in text(findings, "note")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "/no/file.xml"}, "unset FASTDDS_DEFAULT_PROFILES_FILE"),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "/tmp"}, "unset FASTRTPS_DEFAULT_PROFILES_FILE"),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": __file__}, "cannot be read (ExpatError"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, "unset FASTDDS_BUILTIN_TRANSPORTS"),
        ({"ROS_DOMAIN_ID": "300"}, "ROS_DOMAIN_ID=300 is no domain"),
        ({"ROS_DOMAIN_ID": "robot"}, "ROS_DOMAIN_ID=robot is no domain"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "no node finds another"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "HOST"}, "set it to SUBNET, LOCALHOST, OFF"),
    ],
)
def test_environments_that_part_nodes(environment: dict[str, str], words: str) -> None:
    assert words in text(transport.check(environment), "fix")


def test_discovery_is_told() -> None:
    assert "whole subnet" in text(transport.check({}), "ok")
    for name, value in (
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
        ("ROS_LOCALHOST_ONLY", "1"),
    ):
        environment = {name: value, "ROS_DOMAIN_ID": "42"}
        assert "domain 42, discovery on this host only" in text(transport.check(environment), "ok")
    assert "domain 150" in text(transport.check({"ROS_DOMAIN_ID": "150"}), "note")


@pytest.mark.parametrize(("size", "level"), [(212992, "fix"), (33554432, "ok")])
def test_cyclone_is_asked_for_its_buffer_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int, level: str
) -> None:
    (tmp_path / "rmem_max").write_text(f"{size}\n")
    monkeypatch.setattr(transport, "RECEIVE_BUFFER", tmp_path / "rmem_max")
    findings = transport.check({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"})
    assert "receive buffer" in text(findings, level)
    assert "/dev/shm" not in text(findings, "ok")
