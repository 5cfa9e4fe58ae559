"""The node on a robot: camera in; depth, normals, semantics and a cloud out under /mtpano.

    ros2 launch mtpano_ros pano.launch.py image:=/camera/image_raw

Every parameter has its place in the parameter file; `model`, `backend`, `autostart` and
`use_sim_time` can be said here too and then win over the file.
"""

from __future__ import annotations

from ament_index_python.packages import get_package_share_path
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mtpano_ros.transport import large_messages

SHARE = get_package_share_path("mtpano_ros")
# name: default, description
ARGUMENTS = {
    "image": ("/equirectangular/image", "topic of the panoramas, without /compressed"),
    "namespace": ("/mtpano", "where the outputs stand"),
    "params_file": (str(SHARE / "config" / "pano.yaml"), "parameters of the node"),
    "model": ("", "a bundled model's name or an .onnx file; empty: as in params_file"),
    "backend": ("", "auto, openvino, onnxruntime or tensorrt; empty: as in params_file"),
    "autostart": ("", "false waits for lifecycle services; empty: as in params_file"),
    "use_sim_time": ("", "true takes the time from /clock; empty: as in params_file"),
    "respawn": ("true", "start the node again, 2 s later, if it ever dies"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "show the cloud and the coloured images"),
    "fixed_frame": ("map", "the frame that RViz draws in"),
}
# As ROS parameters these are not text.
BOOLEANS = ("autostart", "use_sim_time")
SHOWN = ("points", "depth/color", "normals/color", "semantic/color")


def generate_launch_description() -> LaunchDescription:
    """The arguments, the transport profile, the node and, if wished, RViz."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    profile = [SetEnvironmentVariable(name, value) for name, value in large_messages().items()]
    return LaunchDescription([*arguments, *profile, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Node]:
    """The actions, once the arguments have values."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given = {name: value[name] for name in ("model", "backend") if value[name]}
    given |= {name: value[name].lower() == "true" for name in BOOLEANS if value[name]}
    node = Node(
        package="mtpano_ros",
        executable="pano_node",
        name="pano_node",
        namespace=value["namespace"],
        parameters=[value["params_file"], *([given] if given else [])],
        remappings=[
            ("image", value["image"]),
            ("image/compressed", value["image"] + "/compressed"),
        ],
        ros_arguments=["--log-level", value["log_level"]],
        respawn=value["respawn"].lower() == "true",
        respawn_delay=2.0,
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "rviz" / "pano.rviz"), "-f", value["fixed_frame"]],
        # The RViz file names the default namespace.
        remappings=[(f"/mtpano/{topic}", f"{value['namespace']}/{topic}") for topic in SHOWN],
        condition=IfCondition(value["rviz"]),
    )
    return [node, rviz]
