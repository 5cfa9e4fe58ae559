"""The shipped parameter, transport and RViz files agree with the code that they configure."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from mtpano_ros.process.transport import PROFILE, large_messages, private_graph

ROOT = Path(__file__).parents[1]
MiB = 1 << 20


def test_parameter_file_holds_and_explains_every_parameter_at_its_default():
    parameters = pytest.importorskip("mtpano_ros.parameters.table", reason="no ROS 2 here")
    assert (ROOT / "config" / "pano.yaml").read_text() == parameters.as_yaml(), (
        "run python -m mtpano_ros.parameters > config/pano.yaml"
    )


def profile() -> ElementTree.Element:
    """The Fast DDS profile, its tags without their namespace."""
    root = ElementTree.parse(PROFILE).getroot()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def test_profile_gives_shared_memory_room_beside_udp():
    transports = {
        one.findtext("transport_id"): one for one in profile().iter("transport_descriptor")
    }
    memory = transports["mtpano_shm"]
    assert int(memory.findtext("segment_size", "0")) == 64 * MiB
    # Fragments are 64 KB: as many as a message of the whole segment has must fit the queue.
    fragments = 64 * MiB / 65500
    assert int(memory.findtext("port_queue_capacity", "0")) > 2 * fragments

    participant = profile().find("profiles/participant")
    assert participant.get("is_default_profile") == "true"
    used = [one.text for one in participant.find("rtps/userTransports")]
    assert used == ["mtpano_shm", "mtpano_udp"]
    assert participant.findtext("rtps/useBuiltinTransports") == "false"


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        (None, "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_profile_is_set_as_the_distribution_reads_it(distribution, variable):
    environment = {"ROS_DISTRO": distribution} if distribution else {}
    assert large_messages(environment) == {variable: str(PROFILE)}
    assert PROFILE.is_file()


@pytest.mark.parametrize(
    "choice",
    [
        "FASTDDS_DEFAULT_PROFILES_FILE",
        "FASTRTPS_DEFAULT_PROFILES_FILE",
        "FASTDDS_BUILTIN_TRANSPORTS",
    ],
)
def test_the_users_own_transport_is_kept(choice):
    assert large_messages({choice: "theirs"}) == {}


def test_private_graph_stays_on_the_host_in_a_domain_linux_can_open():
    graph = private_graph({"ROS_DOMAIN_ID": "0"})
    assert graph["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_LOCALHOST_ONLY" not in graph
    assert 0 < int(graph["ROS_DOMAIN_ID"]) <= 101
    assert private_graph({"MTPANO_DOMAIN_ID": "7"})["ROS_DOMAIN_ID"] == "7"
    assert private_graph({"ROS_DISTRO": "humble"})["ROS_LOCALHOST_ONLY"] == "1"


def test_rviz_shows_the_cloud_the_scan_and_the_coloured_images():
    scene = yaml.safe_load((ROOT / "rviz" / "pano.rviz").read_text())["Visualization Manager"]
    shown = {
        display["Topic"]["Value"]: display["Class"].rpartition("/")[2]
        for display in scene["Displays"]
        if "Topic" in display
    }
    assert shown == {
        "/mtpano/points": "PointCloud2",
        "/mtpano/scan": "LaserScan",
        "/mtpano/depth/color": "Image",
        "/mtpano/normals/color": "Image",
        "/mtpano/semantic/color": "Image",
    }
