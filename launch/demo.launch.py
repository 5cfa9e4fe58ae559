"""The node on bundled panoramas instead of a camera, with RViz.

    ros2 launch mtpano_ros demo.launch.py input:=~/my_panoramas rate:=2.0

Takes every argument of pano.launch.py too. It stays on this host, in a domain of its own, and logs
how to look on; ROS_DOMAIN_ID, ROS_AUTOMATIC_DISCOVERY_RANGE and, on Humble, ROS_LOCALHOST_ONLY are
kept where they are set.
"""

from __future__ import annotations

import os

from ament_index_python.packages import get_package_share_path, get_packages_with_prefixes
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mtpano_ros.process.transport import private_graph

PANO = get_package_share_path("mtpano_ros") / "launch" / "pano.launch.py"
FRAME = "camera_optical_frame"
# Optical (x right, y down, z forward) as seen from a map with x forward and z up, REP-103.
UPRIGHT = ["--roll", "-1.5707963", "--yaw", "-1.5707963"]
# A robot often has ROS without its desktop, and the demo is worth seeing there, too.
HAS_RVIZ = {"rviz2", "tf2_ros"} <= get_packages_with_prefixes().keys()
ARGUMENTS = {
    "input": ("", "image, folder, video or rosbag2; empty: five bundled panoramas"),
    "rate": ("5.0", "panoramas per second"),
    "image": ("/mtpano/image", "topic that the player publishes and the node reads"),
    "rviz": (
        str(HAS_RVIZ).lower(),
        "show the cloud and the coloured images; true where rviz2 and tf2_ros are installed",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """pano.launch.py with other defaults, then the player and a frame to show its cloud in."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    graph = {name: os.environ.get(name, value) for name, value in private_graph().items()}
    variables = [SetEnvironmentVariable(name, value) for name, value in graph.items()]
    look_on = " ".join(f"{name}={value}" for name, value in graph.items())
    say = LogInfo(msg=f"to look on from another shell: export {look_on}")
    # Included first: it sets the transport profile, which the player needs as well.
    pano = IncludeLaunchDescription(str(PANO))
    return LaunchDescription([*arguments, *variables, say, pano, OpaqueFunction(function=play)])


def play(context: LaunchContext) -> list[Node]:
    """The player and, for RViz, a static transform."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    source = [os.path.expanduser(value["input"])] if value["input"] else []
    player = Node(
        package="mtpano_ros",
        executable="player",
        name="player",
        arguments=[*source, "--rate", value["rate"], "--frame-id", FRAME],
        remappings=[("image", value["image"])],
        output="screen",
    )
    upright = Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        arguments=[*UPRIGHT, "--frame-id", "map", "--child-frame-id", FRAME],
    )
    # pano.launch.py has refused what is no boolean, and has warned where rviz2 is missing.
    return [player, upright] if HAS_RVIZ and value["rviz"].lower() == "true" else [player]
