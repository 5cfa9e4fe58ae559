"""The environment in which panoramas arrive whole and no other robot is met.

Fast DDS's default shared-memory segment is smaller than one panorama: best effort then loses every
frame. `fastdds.xml` beside this file carries them; it is set unless the user has chosen otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mtpano_model.doctor.transport import (
    BUILTIN_VARIABLE,
    OLD_PROFILE_VARIABLE,
    PROFILE_VARIABLE,
)

PROFILE = Path(__file__).with_name("fastdds.xml")
FAST_DDS_2 = ("humble", "iron", "jazzy")
CHOICES = (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE, BUILTIN_VARIABLE)
# Above 101 the ports of a domain meet Linux's ephemeral ones.
PRIVATE_DOMAINS = range(20, 102)


def large_messages(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variable that loads the profile; none where the user chose a profile or transport."""
    if any(name in environment for name in CHOICES):
        return {}
    old = environment.get("ROS_DISTRO") in FAST_DDS_2
    return {OLD_PROFILE_VARIABLE if old else PROFILE_VARIABLE: str(PROFILE)}


def private_graph(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for a ROS graph of this host alone, in a domain of this process's own.

    MTPANO_DOMAIN_ID names the domain, for those who want to look on.
    """
    own = PRIVATE_DOMAINS[os.getpid() % len(PRIVATE_DOMAINS)]
    graph = {
        "ROS_DOMAIN_ID": environment.get("MTPANO_DOMAIN_ID", str(own)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    if environment.get("ROS_DISTRO") == "humble":  # knows no discovery range yet
        graph["ROS_LOCALHOST_ONLY"] = "1"
    return graph
