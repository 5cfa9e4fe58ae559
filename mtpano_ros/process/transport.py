"""The environment variables with which panoramas arrive whole, in a ROS graph of its own.

Fast DDS's default shared-memory segment is smaller than one panorama: best effort then loses every
frame. `mtpano_ros/fastdds.xml` carries them; every executable here and the launch files set
it, unless the user has chosen otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from mtpano_ros.doctor.ros import rmw
from mtpano_ros.doctor.transport import (
    BUILTIN_VARIABLE,
    OLD_PROFILE_VARIABLE,
    OVER_UDP,
    PROFILE_VARIABLE,
    SEGMENT,
    SHARED_MEMORY,
    UDP,
    check_profile,
    check_shared_memory,
)
from mtpano_ros.process.shared_memory import remove_leftovers

PROFILE = Path(__file__).parents[1] / "fastdds.xml"
FAST_DDS_2 = ("humble", "iron", "jazzy")
CHOICES = (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE, BUILTIN_VARIABLE)
# Above 101 the ports of a domain meet Linux's ephemeral ones.
PRIVATE_DOMAINS = range(20, 102)


def large_messages(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variable that loads the profile; none where the user chose a profile or transport."""
    if any(environment.get(name) for name in CHOICES):
        return {}
    old = distribution(environment) in FAST_DDS_2
    return {OLD_PROFILE_VARIABLE if old else PROFILE_VARIABLE: str(PROFILE)}


def distribution(environment: Mapping[str, str] = os.environ) -> str:
    """The ROS 2 distribution: the sourced one, or that of the wheels; empty if neither is found."""
    if environment.get("ROS_DISTRO"):
        return environment["ROS_DISTRO"]
    from importlib import metadata  # here, as it takes longer to load than most of the node

    for name in ("kilted", "jazzy"):
        try:
            metadata.version(f"ros-{name}-rclpy")
        except metadata.PackageNotFoundError:
            continue
        return name
    return ""


def prepare_transport(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Set the profile for this process and make room in /dev/shm; returns what to warn of.

    If /dev/shm has no room for this process's segment, its messages go over UDP only.
    """
    environment.update(large_messages(environment))
    if "fastrtps" not in rmw(environment):
        return []
    remove_leftovers()
    profile, found = check_profile(environment), check_shared_memory(more=1)
    if profile.level == "fix":
        return [f"large messages may be lost: {profile}"]
    if found.level != "fix":
        return []
    if _has_room() or not _is_ours(environment):
        return [f"large messages may be lost: {found}"]
    for name in (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE):
        environment.pop(name, None)
    environment[BUILTIN_VARIABLE] = UDP
    return [f"{OVER_UDP}: {found}"]


def _has_room() -> bool:
    try:
        facts = os.statvfs(SHARED_MEMORY)
    except OSError:
        return False
    free = facts.f_frsize * facts.f_bavail
    return free > SEGMENT and os.access(SHARED_MEMORY, os.W_OK | os.X_OK)


def _is_ours(environment: Mapping[str, str]) -> bool:
    """Whether the profile in force is the shipped one, also where launch or a shell set it."""
    if environment.get(BUILTIN_VARIABLE):
        return False
    named = (environment.get(name) for name in (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE))
    try:
        return any(path and Path(path).read_bytes() == PROFILE.read_bytes() for path in named)
    except OSError:
        return False


def private_graph(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for a ROS graph on this host only, in a domain of this process's own.

    MTPANO_DOMAIN_ID sets the domain, so that another shell can see its topics.
    """
    own = PRIVATE_DOMAINS[os.getpid() % len(PRIVATE_DOMAINS)]
    graph = {
        "ROS_DOMAIN_ID": environment.get("MTPANO_DOMAIN_ID") or str(own),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    if distribution(environment) == "humble":  # knows no discovery range yet
        graph["ROS_LOCALHOST_ONLY"] = "1"
    return graph
