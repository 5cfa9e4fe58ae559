"""Whether panoramas get from process to process: DDS profile, shared memory, discovery, QoS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from xml.parsers import expat

from mtpano_model.doctor.finding import Finding, fix, note, ok
from mtpano_model.errors import one_line
from mtpano_ros.doctor.ros import rmw

SEGMENT = 64 << 20  # bytes of shared memory that the profile gives each process
SEGMENTS = 3  # of a camera, the node and RViz
SHARED_MEMORY = Path("/dev/shm")
RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")
PROFILE_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
# What Fast DDS 2 reads (Humble to Jazzy); later distributions warn at its sight.
OLD_PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
BUILTIN_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
UDP = "UDPv4"  # of its values, the one without shared memory
OVER_UDP = "messages go over UDP, which loses large images"
_RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
_ENOUGH_BUFFER = 16 << 20  # what docs/deployment.md lets Cyclone DDS ask for
_HIGHEST_DOMAIN, _EPHEMERAL_DOMAIN = 232, 102


def check(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything between a camera's message and the node's callback."""
    middleware = rmw(environment)
    findings = []
    if "fastrtps" in middleware:
        findings += [check_profile(environment), check_shared_memory()]
    else:
        findings.append(
            note(f"{middleware} does not read the Fast DDS profile: see docs for its equivalent")
        )
        findings.append(_receive_buffer())
    return [*findings, *check_discovery(environment), _qos()]


def check_profile(environment: Mapping[str, str]) -> Finding:
    """Whether large messages have a DDS profile that carries them."""
    for variable in (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE):
        if not environment.get(variable):
            continue
        path = Path(environment[variable])
        try:
            text = path.read_text("utf-8", errors="replace")
            expat.ParserCreate().Parse(text, True)
        except (OSError, ValueError, expat.ExpatError) as error:
            return fix(f"{variable}={path} cannot be read ({one_line(error)})", f"unset {variable}")
        if f"<segment_size>{SEGMENT}<" in text:
            return ok(f"{variable}={path}, segments of {SEGMENT >> 20} MiB")
        return note(f"{variable}={path}, a profile of your own: give it segments of 64 MiB")
    if environment.get(BUILTIN_VARIABLE) == "LARGE_DATA":
        return fix(
            f"{BUILTIN_VARIABLE}=LARGE_DATA loses large best-effort messages in some runs",
            f"unset {BUILTIN_VARIABLE}, our executables set a profile that does not",
        )
    spec = find_spec("mtpano_ros")
    shipped = Path(spec.origin).with_name("fastdds.xml") if spec and spec.origin else "fastdds.xml"
    return note(
        "no DDS profile is set in this shell: our own executables set one, for other nodes that "
        f"send or take panoramas export {PROFILE_VARIABLE}={shipped} "
        f"(Humble to Jazzy: {OLD_PROFILE_VARIABLE})"
    )


def check_shared_memory(more: int = SEGMENTS) -> Finding:
    """Whether /dev/shm is large enough for a robot, and has room for `more` processes."""
    try:
        facts = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        return fix(
            f"{SHARED_MEMORY} cannot be used ({error.strerror})",
            "mount a tmpfs there, DDS sends large messages through it",
        )
    if not os.access(SHARED_MEMORY, os.W_OK | os.X_OK):  # also where it is mounted read-only
        return fix(
            f"{SHARED_MEMORY} cannot be written, DDS sends large messages through it",
            "mount it read-write, for every user (mode 1777)",
        )
    total, free = facts.f_frsize * facts.f_blocks, facts.f_frsize * facts.f_bavail
    sizes = f"{SHARED_MEMORY} has {total >> 20} MiB, {free >> 20} free"
    if total < SEGMENTS * SEGMENT:
        return fix(
            f"{sizes}; three processes with panoramas need {SEGMENTS * SEGMENT >> 20}",
            "start the container with --shm-size=512m or --ipc=host",
        )
    if free < more * SEGMENT:
        return fix(
            f"{sizes}; {more} more processes with panoramas need {more * SEGMENT >> 20}"
            if more > 1
            else f"{sizes}; a process with panoramas needs {SEGMENT >> 20}",
            "stop all nodes, then remove what crashed ones left: "
            f"rm {SHARED_MEMORY}/fastdds_* {SHARED_MEMORY}/fastrtps_*",
        )
    return ok(f"{sizes}: room for {free // SEGMENT} processes with panoramas")


def lossy_transport(environment: Mapping[str, str] = os.environ) -> str:
    """Why this process's large messages may be lost on this host; empty if nothing is wrong."""
    if "fastrtps" not in rmw(environment):
        return ""
    found = check_shared_memory(more=0)
    why = str(found) if found.level == "fix" else ""
    if environment.get(BUILTIN_VARIABLE) != UDP:
        return why
    why = why or f"{SHARED_MEMORY} had no room at the start, or {BUILTIN_VARIABLE}={UDP} was set"
    return f"{OVER_UDP}: {why}"


def _receive_buffer() -> Finding:
    try:
        size = int(RECEIVE_BUFFER.read_text())
    except (OSError, ValueError):
        return note("the size of the kernel's receive buffer cannot be read here")
    if size < _ENOUGH_BUFFER:
        return fix(
            f"the kernel's receive buffer is at most {size >> 10} KiB, a panorama is 6 MiB",
            f"sysctl -w net.core.rmem_max={_ENOUGH_BUFFER}",
        )
    return ok(f"the kernel's receive buffer may be {size >> 20} MiB")


def check_domain(environment: Mapping[str, str]) -> list[Finding]:
    """What is wrong with ROS_DOMAIN_ID, or good to know of it; empty where all is well."""
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    if not (domain.isascii() and domain.isdecimal()) or int(domain) > _HIGHEST_DOMAIN:
        return [
            fix(f"ROS_DOMAIN_ID={domain} is no domain", f"set it to 0..{_EPHEMERAL_DOMAIN - 1}")
        ]
    if int(domain) >= _EPHEMERAL_DOMAIN:
        return [note(f"domain {domain}: its ports may meet others' from {_EPHEMERAL_DOMAIN} on")]
    return []


def check_discovery(environment: Mapping[str, str]) -> list[Finding]:
    """Whether nodes find each other."""
    findings = check_domain(environment)
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
    if environment.get("ROS_LOCALHOST_ONLY") == "1":
        reach = "LOCALHOST"
    if reach is not None and reach not in _RANGES:
        findings.append(
            fix(
                f"ROS_AUTOMATIC_DISCOVERY_RANGE={reach} is not known",
                f"set it to {', '.join(_RANGES[:3])} or unset it",
            )
        )
    elif reach == "OFF":
        findings.append(
            fix(
                "ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: no node finds another",
                "unset it, or name peers in ROS_STATIC_PEERS",
            )
        )
    elif reach == "LOCALHOST":
        findings.append(ok(f"domain {domain}, discovery on this host only"))
    else:
        findings.append(ok(f"domain {domain}, discovery in the whole subnet"))
    return findings


def _qos() -> Finding:
    return ok(
        "QoS: the node subscribes best effort, which every camera matches; it "
        "publishes reliable and volatile, which every subscriber matches but transient local ones"
    )
