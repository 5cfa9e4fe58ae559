"""What dead processes left in /dev/shm goes, what a living one needs stays."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtpano_ros.doctor.transport import BUILTIN_VARIABLE, PROFILE_VARIABLE
from mtpano_ros.process import shared_memory, transport
from mtpano_ros.process.shared_memory import remove_leftovers
from mtpano_ros.process.transport import PROFILE, prepare_transport

NAME = "fastdds_0123456789abcdef"


def segment(folder: Path, name: str = NAME, age: float = 60.0) -> Path:
    """The two files of a segment, as Fast DDS makes them."""
    file = folder / name
    file.write_bytes(bytes(64))
    lock = folder / f"{name}_el"
    lock.touch()
    os.utime(lock, (time.time() - age,) * 2)
    return file


@pytest.mark.parametrize("name", [NAME, "fastrtps_0123456789abcdef"])
def test_a_dead_process_s_segment_goes(tmp_path, name):
    segment(tmp_path, name)
    assert remove_leftovers(tmp_path) == [name]
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_s_segment_stays(tmp_path):
    file = segment(tmp_path)
    with open(f"{file}_el") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_the_segment_of_a_process_that_has_just_started_stays(tmp_path):
    segment(tmp_path, age=1.0)
    assert remove_leftovers(tmp_path) == []


def test_another_user_s_segment_stays(tmp_path, monkeypatch):
    segment(tmp_path)
    monkeypatch.setattr(shared_memory.os, "geteuid", lambda: os.getuid() + 1)
    assert remove_leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["fastdds_port7411", "other_0123456789abcdef", "fastdds_01"])
def test_what_is_no_segment_stays(tmp_path, name):
    segment(tmp_path, name)
    assert remove_leftovers(tmp_path) == []


def test_a_link_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.touch()
    os.utime(target, (0, 0))
    (tmp_path / f"{NAME}_el").symlink_to(target)
    assert remove_leftovers(tmp_path) == []
    assert target.exists()


def test_no_shared_memory_is_no_fault(tmp_path):
    assert remove_leftovers(tmp_path / "absent") == []


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm to write to")
def test_a_real_killed_process_leaves_nothing_for_long(monkeypatch):
    pytest.importorskip("rclpy")
    from processes import running

    monkeypatch.setattr(shared_memory, "_NEW_SECONDS", 0.0)
    before = set(os.listdir("/dev/shm"))
    alone = {**os.environ, "ROS_DOMAIN_ID": "101"}
    with running("mtpano_ros.start", "player", "--rate", "1", env=alone) as process:
        process.wait_for("playing")
        maps = Path(f"/proc/{process.popen.pid}/maps").read_text().split()
        names = {Path(word).name for word in maps if "/dev/shm/fastdds_" in word}
        # It maps the segments of those that it talks to as well.
        own = {name for name in names - before if len(name) == len(NAME)}
        assert own
        assert not own & set(remove_leftovers()), "a living process's memory"
        process.popen.send_signal(signal.SIGKILL)
        process.popen.wait()
    remove_leftovers()
    assert not own & set(os.listdir("/dev/shm"))


# --- too little of it ----------------------------------------------------------------------------


@pytest.fixture
def memory(monkeypatch):
    """/dev/shm as if it had so many MiB, free MiB, and could be written or not."""

    def pretend(total: int, free: int, writable: bool = True) -> None:
        facts = SimpleNamespace(f_frsize=1 << 20, f_blocks=total, f_bavail=free)
        monkeypatch.setattr(os, "statvfs", lambda _path: facts)
        monkeypatch.setattr(os, "access", lambda _path, _mode: writable)
        monkeypatch.setattr(transport, "remove_leftovers", list)

    return pretend


@pytest.mark.parametrize("chosen", [{}, {PROFILE_VARIABLE: str(PROFILE)}], ids=["run", "launch"])
@pytest.mark.parametrize(
    ("total", "free", "writable"), [(32, 32, True), (512, 20, True), (512, 512, False)]
)
def test_without_room_messages_go_over_udp_and_it_is_said(memory, chosen, total, free, writable):
    memory(total, free, writable)
    environment = dict(chosen)
    (said,) = prepare_transport(environment)
    assert environment == {BUILTIN_VARIABLE: "UDPv4"}
    assert "/dev/shm" in said


def test_a_small_one_with_room_for_this_process_is_said(memory):
    memory(150, 149)
    environment: dict[str, str] = {}
    (said,) = prepare_transport(environment)
    assert environment == {PROFILE_VARIABLE: str(PROFILE)}
    assert "--shm-size=512m" in said


def test_enough_is_not_worth_a_word(memory):
    memory(512, 100)
    assert prepare_transport({}) == []


@pytest.mark.parametrize(
    "chosen", [{BUILTIN_VARIABLE: "SHM"}, {PROFILE_VARIABLE: "/nowhere/mine.xml"}]
)
def test_the_user_s_own_transport_is_kept(memory, chosen):
    memory(32, 32)
    environment = dict(chosen)
    assert len(prepare_transport(environment)) == 1
    assert environment == chosen


@pytest.mark.parametrize("text", [None, "", "<dds><prof"], ids=["missing", "empty", "cut"])
def test_a_profile_that_fast_dds_cannot_read_is_said(memory, tmp_path, text):
    memory(512, 500)
    file = tmp_path / "mine.xml"
    if text is not None:
        file.write_text(text)
    (said,) = prepare_transport({PROFILE_VARIABLE: str(file)})
    assert f"{PROFILE_VARIABLE}={file} cannot be read" in said


def test_an_empty_variable_is_no_choice(memory):
    memory(512, 500)
    environment = {PROFILE_VARIABLE: ""}
    assert prepare_transport(environment) == []
    assert environment == {PROFILE_VARIABLE: str(PROFILE)}


def test_another_middleware_needs_no_shared_memory(memory):
    memory(32, 32)
    assert prepare_transport({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}) == []
